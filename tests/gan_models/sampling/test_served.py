"""What a served generator answers: the images that `sample` draws, one for each row, or a sentence."""

import base64
import io
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
import torch
from PIL import Image

from gan_models.data.hints import place_hints
from gan_models.data.shape import DataShape
from gan_models.data.table import Split, to_float
from gan_models.errors import RequestError
from gan_models.families.building import build_generator
from gan_models.recipes import load_recipe
from gan_models.sampling.generator import GeneratorInfo, LoadedGenerator
from gan_models.sampling.pngs import MOST_PIXELS, decode_image, encode_png
from gan_models.sampling.served import MAX_SEED, MOST_ROWS, RowServer
from gan_models.tasks.base import Row, Task
from gan_models.tasks.from_images import FromImages
from gan_models.tasks.text import examples_of
from pipeline.request import request

CLASSES = ("cat", "dog", "0")  # one is named as the number of another
WORDS = ("a", "red", "seven", "green")
LATENT = ["dcgan", "cgan-projection", "sngan-projection", "biggan", "r3gan", "stackgan"]
FROM_IMAGES = ["cyclegan", "attribute-transfer", "colorization", "colorization/gan"]


def loaded(name: str) -> LoadedGenerator:
    """Untrained, of three classes, four words, and two or three domains."""
    torch.manual_seed(0)
    wide = [] if name == "stackgan" else ["networks.generator.width=4"]
    recipe = load_recipe(name, wide)
    channels, side = (3, 32) if name in ("biggan", "stackgan", *FROM_IMAGES) else (1, 16)
    domains = {"cyclegan": ("day", "night"), "attribute-transfer": ("red", "green", "blue")}.get(name, ())
    words = WORDS if name == "stackgan" else ()
    shape = DataShape((channels, side, side), len(CLASSES), len(domains), len(words), words)
    module = build_generator(recipe, shape).eval().to(memory_format=torch.channels_last)
    info = GeneratorInfo(
        recipe_name=name, image_shape=shape.image, class_names=CLASSES, domain_names=domains, words=words, step=1,
        seed=0, data_fingerprint="f", diversity=1.0, collapsed=False,
    )  # fmt: skip
    return LoadedGenerator(module, recipe, info, torch.device("cpu"))


def pixels(answer: dict[str, Any]) -> torch.Tensor:
    """uint8 [H, W, C] of an answer's PNG."""
    image = Image.open(io.BytesIO(base64.b64decode(answer["image"])))
    assert image.format == "PNG"
    return torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8).reshape(*image.size, -1)


def png(image: Image.Image, form: str = "PNG") -> str:
    with io.BytesIO() as file:
        image.save(file, form)
        return base64.b64encode(file.getvalue()).decode()


@pytest.mark.parametrize("name", [*LATENT, *FROM_IMAGES])
def test_a_generator_of_any_task_answers_its_own_example(name: str) -> None:
    generator = loaded(name)
    server = RowServer(generator)
    rows = server.example()
    answers = server.answer(rows)
    assert len(answers) == len(rows) == 2
    known = {column.name: column for column in server.columns}
    assert set().union(*rows) == set(known)
    for row, answer in zip(rows, answers, strict=True):
        assert {name for name, column in known.items() if column.required} <= set(row)
        assert set(answer) <= {"image", "seed", "label", "caption", "domain"}
        assert tuple(pixels(answer).permute(2, 0, 1).shape) == generator.info.image_shape


@pytest.mark.parametrize("name", ["dcgan", "cgan-projection", "sngan-projection", "biggan", "r3gan"])
def test_a_row_is_the_first_image_of_its_seed_whatever_is_asked_beside_it(name: str) -> None:
    generator = loaded(name)
    conditional = bool(generator.module.num_classes)
    rows: list[dict[str, Any]] = [{"seed": seed, "truncation": 0.5 if seed % 3 else None} for seed in range(9)]
    for row in rows if conditional else []:
        row["label"] = ("dog", None, "0")[row["seed"] % 3]
    for row, answer in zip(rows, RowServer(generator).answer(rows), strict=True):
        number = {"dog": 1, "0": 2}.get(row.get("label"), 0)
        labels = torch.tensor([number]) if conditional else None
        drawn = generator.sample(1, seed=row["seed"], labels=labels, truncation=row["truncation"])
        assert torch.equal(pixels(answer), drawn.images[0])
        assert answer["seed"] == row["seed"]
        assert answer.get("label") == (CLASSES[number] if conditional else None)


def test_a_class_is_named_or_numbered_and_the_name_wins() -> None:
    server = RowServer(loaded("cgan-projection"))
    asked = [("cat", "cat"), ("dog", "dog"), ("1", "dog"), (1, "dog"), (1.0, "dog"), ("0", "0"), (0, "0"), ("2", "0")]
    answers = server.answer([{"seed": 3, "label": label} for label, _ in asked])
    assert [answer["label"] for answer in answers] == [name for _, name in asked]
    assert len({answer["image"] for answer in answers}) == 3


def test_a_caption_is_what_is_drawn() -> None:
    generator = loaded("stackgan")
    captions = ["a red seven", "green", "a red seven"]
    answers = RowServer(generator).answer([{"seed": 5, "caption": caption} for caption in captions])
    for caption, answer in zip(captions, answers, strict=True):
        expected = generator.sample(1, seed=5, examples=examples_of([caption], generator.info)).images[0]
        assert torch.equal(pixels(answer), expected)
        assert answer["caption"] == caption
    assert answers[0] != answers[1]


def test_the_example_of_captions_passes_over_images_without_one() -> None:
    generator = loaded("stackgan")
    captions = torch.tensor([[0, 0], [4, 0], [0, 0], [2, 3]])
    images = torch.zeros(4, 32, 32, 3, dtype=torch.uint8)
    carrying = replace(generator, examples=Split(images, None, list("abcd"), captions=captions))
    assert [row["caption"] for row in RowServer(carrying).example()] == ["green", "red seven"]
    silent = replace(generator, examples=Split(images, None, list("abcd"), captions=torch.zeros_like(captions)))
    for server in (RowServer(carrying), RowServer(silent)):
        assert len(server.answer(server.example())) == 2


def given(seed: int = 0) -> torch.Tensor:
    """uint8 [1, 32, 32, 3]."""
    return torch.randint(0, 256, (1, 32, 32, 3), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


@pytest.mark.parametrize("name", FROM_IMAGES)
def test_an_image_becomes_what_the_command_shows_of_it(name: str) -> None:
    generator, image = loaded(name), given()
    assert isinstance(generator.task, FromImages)
    columns = generator.task.before_and_after(generator, Split(image, None, ["mine"]), seed=0)
    row = {"image": encode_png(image[0])}
    if name.startswith("colorization"):
        (answer,) = RowServer(generator).answer([row])
        assert torch.equal(pixels(answer), columns["coloured"][0])
        return
    names = generator.info.domain_names
    for domain, answer in zip(names, RowServer(generator).answer([row | {"domain": n} for n in names]), strict=True):
        assert torch.equal(pixels(answer), columns[domain][0])
        assert answer["domain"] == domain


def test_a_hint_is_an_opaque_place_of_an_image() -> None:
    generator, image = loaded("colorization/gan"), to_float(given())
    square = torch.zeros(1, 1, 32, 32, dtype=torch.bool)
    square[..., 4:7, 10:13] = True
    red = torch.tensor([1.0, -1.0, -1.0])[None, :, None, None].expand(1, 3, 32, 32)
    hints = place_hints(torch.zeros(1, 4, 32, 32), square, red)
    expected = generator.synthesize({"images": generator.module.grey(image), "hints": hints}).images[0]
    sent = Image.new("RGBA", (32, 32), (0, 255, 0, 0))
    sent.paste((255, 0, 0, 255), (10, 4, 13, 7))
    told, untold = RowServer(generator).answer(
        [{"image": encode_png(given()[0]), "hints": png(sent)}, {"image": encode_png(given()[0]), "hints": None}]
    )
    assert torch.equal(pixels(told), expected)
    assert told != untold


@pytest.mark.parametrize(
    ("image", "form"), [(Image.new("RGB", (64, 32), "red"), "JPEG"), (Image.new("L", (9, 9), 7), "WEBP")]
)
def test_an_image_of_any_size_is_prepared_as_the_training_images_were(image: Image.Image, form: str) -> None:
    (answer,) = RowServer(loaded("colorization")).answer([{"image": png(image, form)}])
    assert pixels(answer).shape == (32, 32, 3)


@pytest.mark.parametrize(
    ("name", "rows", "sentence"),
    [
        ("dcgan", [], "0 rows: expected 1 to 64"),
        ("dcgan", [{"seed": 0}] * (MOST_ROWS + 1), "65 rows: expected 1 to 64"),
        ("dcgan", [{"seed": 0}, {"seed": -1}], r"row 1: seed -1: expected a whole number from 0 to 2147483647"),
        ("dcgan", [{"seed": MAX_SEED + 1}], "row 0: seed 2147483648: expected"),
        ("dcgan", [{"seed": float("nan")}], "row 0: seed is missing"),
        ("dcgan", [{"seed": 0, "truncation": 0.0}], "row 0: truncation=0: latents are cut off at a number of at least"),
        ("cgan-projection", [{"seed": 0, "label": "dgo"}], "row 0: unknown class 'dgo': did you mean 'dog'?"),
        ("cgan-projection", [{"seed": 0, "label": "3"}], "row 0: unknown class '3'"),
        ("cgan-projection", [{"seed": 0, "label": "²"}], "row 0: unknown class '²'"),
        ("stackgan", [{"seed": 0, "caption": "a rde seven"}], "row 0: unknown word 'rde': did you mean 'red'?"),
        ("stackgan", [{"seed": 0}], "row 0: caption is missing"),
        ("cyclegan", [{"image": png(Image.new("RGB", (8, 8))), "domain": "nigth"}], "unknown domain 'nigth'"),
        ("cyclegan", [{"domain": "night"}], "row 0: image is missing"),
        ("colorization", [{"image": "pixels!"}], "row 0: image: this is not base64"),
        ("colorization", [{"image": "cGl4ZWxz"}], "row 0: image: this is not a PNG, JPEG or WebP image"),
        ("colorization", [{"image": png(Image.new("RGB", (8, 8)), "GIF")}], "this is not a PNG, JPEG or WebP image"),
        (
            "colorization",
            [{"image": png(Image.new("RGB", (8, 8))), "hints": png(Image.new("RGBA", (9, 8)))}],
            "row 0: hints: an image of 9x8 pixels; expected 32x32",
        ),
    ],
)
def test_what_cannot_be_drawn_is_a_sentence(name: str, rows: Sequence[Row], sentence: str) -> None:
    with pytest.raises(RequestError, match=sentence) as refused:
        RowServer(loaded(name)).answer(rows)
    assert "\n" not in str(refused.value)


def test_a_file_that_would_be_too_large_in_memory_is_not_decoded() -> None:
    side = int(MOST_PIXELS**0.5) + 1
    bomb = png(Image.new("1", (side, side)))
    assert len(bomb) < 10_000
    with pytest.raises(RequestError, match=f"image: {side}x{side} pixels are too many"):
        decode_image("image", bomb)


def test_a_file_that_ends_too_early_is_a_sentence() -> None:
    whole = base64.b64decode(encode_png(given()[0]))
    for length in (20, 60, len(whole) // 2):
        with pytest.raises(RequestError, match="image: this is not a PNG, JPEG or WebP image that can be read"):
            decode_image("image", base64.b64encode(whole[:length]).decode())


def test_requests_at_once_are_drawn_one_after_another() -> None:
    generator = loaded("sngan-projection")
    server, inside, most = RowServer(generator), threading.Semaphore(0), []

    def enter(*_: object) -> None:
        inside.release()
        most.append(inside._value)
        time.sleep(0.002)

    generator.module.register_forward_pre_hook(enter)
    generator.module.register_forward_hook(lambda *_: inside.acquire() and None)
    requests = [[{"seed": seed, "label": "dog"}, {"seed": seed + 1, "label": "cat"}] for seed in range(16)]
    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(server.answer, requests))
    assert set(most) == {1}
    assert together == [server.answer(request) for request in requests]


def test_what_can_be_sampled_can_be_asked_for() -> None:
    assert MAX_SEED == request.MAX_SEED


def test_a_task_without_columns_is_not_served_by_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = loaded("dcgan")
    monkeypatch.setattr(type(generator.task), "columns", Task.columns)
    assert RowServer(generator).columns == ()

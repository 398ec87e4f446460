"""The export of a generator that draws what a text says."""

from pathlib import Path

import pyarrow.parquet as pq
import torch
from PIL import Image

from components.export_samples import step
from components.stage.stage import RunContext, open_stage
from gan_models.data.shape import DataShape
from gan_models.data.table import Split
from gan_models.families.building import build_generator
from gan_models.recipes import load_recipe
from gan_models.recipes.schema import Export
from gan_models.sampling.generator import GeneratorInfo, load_generator, save_examples, save_generator

WORDS = ("a", "red", "seven", "green")
CAPTIONS = torch.tensor([[1, 2, 3], [1, 4, 3], [3, 0, 0]])


def selected(folder: Path, *, examples: bool = True) -> Path:
    """A generator folder of an untrained StackGAN."""
    torch.manual_seed(0)
    recipe = load_recipe("stackgan", ["networks.generator.width=4"])
    info = GeneratorInfo(
        recipe_name="stackgan", image_shape=(3, 16, 16), class_names=(), words=WORDS, step=6, seed=0,
        data_fingerprint="f", diversity=1.0, collapsed=False,
    )  # fmt: skip
    shown = Split(torch.zeros(3, 16, 16, 3, dtype=torch.uint8), None, ["0", "1", "2"], captions=CAPTIONS)
    weights = build_generator(recipe, DataShape((3, 16, 16), words=4)).state_dict()
    save_generator(folder, weights, recipe, info)
    if examples:
        save_examples(folder, shown)
    return folder


def test_captions_go_with_the_pictures_and_make_them_again(tmp_path: Path, dataset: Path) -> None:
    request = step.Request(
        generator=selected(tmp_path / "selected"), report=tmp_path / "none", dataset=dataset,
        export=Export(samples=5), output=tmp_path / "export", cache_dir=tmp_path / "cache", seed=3,
    )  # fmt: skip
    with open_stage("export_samples", RunContext(state_dir=str(tmp_path / "state"))) as stage:
        step.run(request, stage)
    table = pq.read_table(tmp_path / "export" / "samples.parquet")
    asked = ["a red seven", "a green seven", "seven"]
    assert table["caption"].to_pylist() == [*asked, *asked[:2]]
    latents = torch.tensor(table["latent"].to_pylist())
    generator = load_generator(tmp_path / "export")
    again = generator.synthesize({"latents": latents, "captions": CAPTIONS[[0, 1, 2, 0, 1]]}).images
    written = [Image.open(tmp_path / "export" / row["path"]) for row in table["image"].to_pylist()]
    assert all(list(image.getdata()) == [tuple(p) for p in made.flatten(0, 1).tolist()]
               for image, made in zip(written, again, strict=True))  # fmt: skip
    assert Image.open(tmp_path / "export" / "captions.png").width == 8 * 6 * 16 + 7 * 6
    assert (tmp_path / "export" / "interpolation.png").is_file()


def test_without_captions_in_the_folder_there_is_no_figure(tmp_path: Path) -> None:
    generator = load_generator(selected(tmp_path / "a", examples=False))
    (picture,) = generator.task.pictures(generator, 0)
    assert picture.pixels is None
    assert picture.sentence == "no captions.png: the generator folder carries no captions"

"""Exported generators draw what the generator draws, in whatever loads them; and what does not is not handed over."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from huggingface_hub import ModelCard
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from gan_models.errors import RequestError, RunError
from gan_models.families.building import build_generator
from gan_models.families.interfaces import Generator
from gan_models.sampling import exporting
from gan_models.sampling.draws import Draws
from gan_models.sampling.exporting import FORMATS, export, interface, plain
from gan_models.sampling.generator import LoadedGenerator, load_generator
from gan_models.sampling.handing_over import hand_over

FAMILIES = [
    ("vanilla", ()),
    ("dcgan", ()),
    ("cgan-projection", ()),
    ("sngan-cnn", ()),
    ("sngan-projection", ()),
    ("sagan", ()),
    ("biggan", ()),
    ("biggan", ("networks.generator.chunks=false", "networks.generator.embedding=0")),
    ("pggan", ()),
    ("r3gan", ()),
    ("r3gan", ("conditioning={generator: embedding, discriminator: projection}",)),
    ("r3gan", ("networks.generator.form=first",)),
    ("stylegan2-ada", ()),
    ("stylegan2-ada", ("conditioning={generator: embedding, discriminator: projection}",)),
    ("stackgan", ()),
    ("cyclegan", ()),
    ("attribute-transfer", ()),
    ("colorization", ()),
    ("vanilla", ("networks.generator.norm=virtual",)),
    ("dcgan", ("networks.generator.norm=reference",)),
]


@pytest.fixture
def trained(loaded: Callable[..., LoadedGenerator]) -> Callable[..., LoadedGenerator]:
    """As `loaded`, with every weight and statistic away from where it starts, so that each part of a network counts."""

    def trained(name: str, *overrides: str) -> LoadedGenerator:
        generator = loaded(name, *overrides)
        torch.manual_seed(1)
        with torch.no_grad():
            for parameter in generator.module.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
            for name_, buffer in generator.module.named_buffers():
                if name_.endswith(("running_mean", "running_var")):
                    buffer.mul_(0.3).add_(0.1)
            if name == "stackgan":
                generator.module.begin_second_stage()
            if name == "pggan":
                generator.module.stage.enter(1, 0.4)  # half grown: the newest layers are faded in
        return generator

    return trained


def inputs_of(generator: LoadedGenerator, count: int) -> dict[str, Tensor]:
    examples = exporting._examples(generator) if generator.module.needs_examples else None
    return generator.module.draw_inputs(Draws(5, count), examples=examples)


@pytest.mark.parametrize(("name", "overrides"), FAMILIES, ids=[" ".join((name, *rest)) for name, rest in FAMILIES])
def test_a_generator_of_any_family_is_the_same_in_every_format(
    name: str,
    overrides: tuple[str, ...],
    trained: Callable[..., LoadedGenerator],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exporting, "CAPTION_WORDS", 4)  # each word is a step of the traced program: seconds
    generator = trained(name, *overrides)
    ready = plain(generator)
    for form in FORMATS:
        assert export(ready, form, tmp_path).is_file()
    network = build_generator(ready.recipe, ready.info.shape).eval()
    network.load_state_dict(load_file(tmp_path / "generator.safetensors"))
    program = torch.export.load(tmp_path / "generator.pt2").module()
    session = onnxruntime.InferenceSession(tmp_path / "generator.onnx")
    names = {"images": "sources"}
    assert [given.name for given in session.get_inputs()] == [names.get(each, each) for each in generator.module.inputs]
    assert [given.name for given in session.get_outputs()] == ["images"]
    assert all(given.shape[0] == "batch" for given in (*session.get_inputs(), *session.get_outputs()))
    for count in (1, 4):
        inputs = inputs_of(generator, count)
        with torch.inference_mode():
            expected = generator.module(**inputs)
            assert expected.std() > 0.02  # of grey alone, all that follows would be true of anything
            torch.testing.assert_close(network(**inputs), expected, rtol=0, atol=1e-4)
            torch.testing.assert_close(program(**inputs), expected, rtol=0, atol=1e-4)
        given = {names.get(each, each): tensor.numpy() for each, tensor in inputs.items()}
        (images,) = session.run(["images"], given)
        assert images.dtype == np.float32
        assert np.abs(images).max() <= 1 + 1e-6  # the last digit of ONNX's tanh
        np.testing.assert_allclose(images, expected.numpy(), rtol=0, atol=1e-4)


def test_weights_are_those_of_plain_layers(trained: Callable[..., LoadedGenerator], tmp_path: Path) -> None:
    """Spectral norm is divided in: W / sigma(W), by an SVD, under the names that layers without it have."""
    generator = trained("sagan")
    for module in generator.module.modules():  # the power iteration has converged, as after a training
        if hasattr(module, "parametrizations"):
            norm = module.parametrizations.weight[0]
            norm.train()
            for _ in range(200):
                norm._power_method(norm._reshape_weight_to_matrix(module.parametrizations.weight.original), 1)
            norm.eval()
    export(plain(generator), "safetensors", tmp_path)
    weights = load_file(tmp_path / "generator.safetensors")
    assert not any("parametrizations" in name for name in weights)
    layer = nn.Linear(generator.module.latent, len(weights["project.bias"]))
    layer.load_state_dict({name: weights[f"project.{name}"] for name in ("weight", "bias")})
    original = generator.module.project.parametrizations.weight.original.detach()
    torch.testing.assert_close(
        layer.weight.detach(), original / torch.linalg.svdvals(original)[0], rtol=1e-3, atol=1e-5
    )


def test_files_say_what_goes_in_and_comes_out(trained: Callable[..., LoadedGenerator], tmp_path: Path) -> None:
    generator = plain(trained("cgan-projection"))
    for form in FORMATS:
        export(generator, form, tmp_path)
    extra = {"interface.json": ""}
    torch.export.load(tmp_path / "generator.pt2", extra_files=extra)
    with safe_open(tmp_path / "generator.safetensors", "pt") as file:
        weights = json.loads(file.metadata()["interface"])
    program = {each.key: each.value for each in onnx.load(tmp_path / "generator.onnx").metadata_props}
    for found in (json.loads(extra["interface.json"]), weights, program | {
        key: json.loads(program[key]) for key in ("inputs", "outputs")
    }):  # fmt: skip
        assert found["inputs"]["latents"] == {
            "dtype": "float32", "shape": ["batch", generator.module.latent], "distribution": "N(0, 1)"
        }  # fmt: skip
        assert found["inputs"]["labels"]["names"] == ["a", "b", "c"]
        assert found["outputs"]["images"] == {"dtype": "float32", "shape": ["batch", 1, 8, 8], "range": [-1, 1]}
        assert found["recipe"] == "cgan-projection"


def test_what_draws_other_pictures_is_not_handed_over(
    trained: Callable[..., LoadedGenerator], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator, write = trained("dcgan"), FORMATS["safetensors"].write

    def slightly_wrong(path: Path, of: LoadedGenerator, described: object) -> None:
        of.module.layers[-2].bias.data += 0.02
        write(path, of, described)
        of.module.layers[-2].bias.data -= 0.02

    monkeypatch.setitem(FORMATS, "safetensors", FORMATS["safetensors"]._replace(write=slightly_wrong))
    with pytest.raises(RunError, match=r"generator\.safetensors was loaded again and draws other pictures"):
        hand_over(generator, tmp_path / "hub", ["safetensors"])
    assert not list(tmp_path.iterdir())


def test_a_network_that_cannot_be_traced_is_a_sentence(
    trained: Callable[..., LoadedGenerator], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = plain(trained("dcgan"))
    forward = type(generator.module).forward

    def branching(self: Generator, latents: Tensor) -> Tensor:
        return forward(self, latents) if float(latents.sum()) > 0 else forward(self, -latents)

    monkeypatch.setattr(type(generator.module), "forward", branching)
    for form in ("pt2", "onnx"):
        with pytest.raises(RequestError, match="dcgan cannot be traced into a program"):
            hand_over(generator, tmp_path / "hub", [form])
    assert not list(tmp_path.iterdir())


def test_formats_are_checked_before_anything_is_written(
    trained: Callable[..., LoadedGenerator], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = trained("dcgan")
    with pytest.raises(RequestError, match="did you mean 'onnx'"):
        hand_over(generator, tmp_path / "hub", ["safetensors", "onxn"])
    monkeypatch.setattr(exporting, "find_spec", lambda package: None if package == "onnxruntime" else object())
    with pytest.raises(RequestError, match=r"onnxruntime not installed: pip install gan-pipeline\[onnx\]"):
        hand_over(generator, tmp_path / "hub", ["onnx"])
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine.txt").write_text("x")
    with pytest.raises(RequestError, match="there is something already"):
        hand_over(generator, tmp_path / "full", ["safetensors"])
    assert [path.name for path in tmp_path.rglob("*")] == ["full", "mine.txt"]


FIGURES = {
    "FD-classifier-test-500": 1.25, "FD-gap-classifier-test-500": -0.5, "IS-classifier-500": 8.5,
    "IS-classifier-500-std": 0.25, "FID-inception-2015-test-500": float("nan"), "PSNR-0-hints-test-95": 22.5,
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "task", "forms"),
    [
        ("cgan-projection", "unconditional-image-generation", list(FORMATS)),
        ("attribute-transfer", "image-to-image", list(FORMATS)),
        ("stackgan", "text-to-image", ["safetensors"]),
    ],
)
def test_the_card_is_one_that_the_hub_reads_and_its_code_runs(
    name: str,
    task: str,
    forms: list[str],
    trained: Callable[..., LoadedGenerator],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    generator = trained(name)
    files = hand_over(generator, tmp_path / "hub", forms, figures=FIGURES, license_="cc-by-4.0")
    assert {"README.md", "grid.png", "recipe.yaml", *(FORMATS[form].file for form in forms)} <= set(files)
    card = ModelCard.load(tmp_path / "hub/README.md")
    assert card.data.pipeline_tag == task
    assert (card.data.license, card.data.library_name) == ("cc-by-4.0", "gan-pipeline")
    assert {"gan", name, *forms} <= set(card.data.tags)
    results = {result.metric_name: result for result in card.data.eval_results}
    # A spread is no figure of its own, and one that is no number is none.
    assert {figure: result.metric_value for figure, result in results.items()} == {
        "FD-classifier-test-500": 1.25, "FD-gap-classifier-test-500": -0.5, "IS-classifier-500": 8.5,
        "PSNR-0-hints-test-95": 22.5,
    }  # fmt: skip
    assert [result.metric_type for result in results.values()] == ["fd", "fd-gap", "is", "psnr"]
    assert all(result.task_type == task for result in results.values())
    assert "| IS-classifier-500 | 8.5 ± 0.25 |" in card.text
    monkeypatch.chdir(tmp_path / "hub")
    blocks = re.findall(r"```python\n(.*?)```", card.text, re.DOTALL)
    assert len(blocks) == len(forms) - 1
    for block in blocks:
        found: dict[str, object] = {}
        exec(block, found)
        assert tuple(found["images"].shape) == (16, *generator.info.image_shape)  # type: ignore[attr-defined]


def test_a_folder_of_weights_is_a_generator_folder(trained: Callable[..., LoadedGenerator], tmp_path: Path) -> None:
    generator = trained("sagan")
    hand_over(generator, tmp_path / "hub", ["safetensors"])
    again = load_generator(tmp_path / "hub")
    assert not again.recipe.networks.generator.spectral_norm
    difference = again.sample(9, seed=3).images.int() - generator.sample(9, seed=3).images.int()
    assert difference.abs().max() <= 1
    assert "figures" not in interface(again).about
    text = (tmp_path / "hub/README.md").read_text()
    assert "license_name: not-stated" in text
    assert "model-index" not in text


def test_nobody_learns_where_the_data_lay(trained: Callable[..., LoadedGenerator], tmp_path: Path) -> None:
    generator = trained("dcgan", "data.source=folder:/home/somebody/secret/cats")
    hand_over(generator, tmp_path / "hub", ["safetensors"])
    text = (tmp_path / "hub/README.md").read_text()
    assert "cats (folder)" in text
    assert "secret" not in text

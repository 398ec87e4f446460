"""A generator in forms that need less of this project: plain weights, a traced program (`torch.export`), ONNX.

Every form is loaded again and compared with the generator before it is handed over. What is exported is the network
without parametrizations: spectral and weight norm are part of its weights, in plain layers.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn.utils import parametrize

from gan_models.data.table import Split
from gan_models.errors import RequestError, RunError, unknown_name
from gan_models.families.building import build_generator
from gan_models.families.interfaces import Generator, Inputs
from gan_models.files import WEIGHTS_FILE
from gan_models.recipes.schema import Recipe
from gan_models.sampling.draws import Draws
from gan_models.sampling.generator import LoadedGenerator

INTERFACE_FILE = "interface.json"
OUTPUT = "images"
CAPTION_WORDS = 16  # a traced program reads captions of one length: shorter ones are filled with 0
_MOST = 65536  # images in a batch
_TRACED, _CHECKED = 3, (1, 5)  # batch sizes that a program is traced with, and compared in
_TOLERANCE = 1 / 255  # half of a level, of pixels from -1 to 1
_EXTERNAL_BYTES = 1_500_000_000  # an ONNX file cannot hold 2 GB: larger weights go beside it

Draw = Callable[[Inputs], Tensor]


class Format(NamedTuple):
    """A form that a generator is exported in."""

    file: str
    write: Callable[[Path, LoadedGenerator, Interface], None]
    read: Callable[[Path, LoadedGenerator], Draw]
    """From the file that has just been written: images [B, C, H, W] of inputs by the generator's own names."""
    packages: tuple[str, ...] = ()
    """What has to be installed, of the project's extra of the format's name."""


class Interface(NamedTuple):
    """What an exported program is given and gives, as JSON has it."""

    inputs: dict[str, dict[str, Any]]
    outputs: dict[str, dict[str, Any]]
    about: dict[str, Any]

    def document(self, form: str) -> dict[str, Any]:
        """As it is written into a file of that format: ONNX has each name once."""
        names = onnx_names(self.inputs) if form == "onnx" else {name: name for name in self.inputs}
        return {
            "inputs": {names[name]: tensor for name, tensor in self.inputs.items()},
            "outputs": self.outputs,
            **self.about,
        }


def onnx_names(inputs: Mapping[str, Any]) -> dict[str, str]:
    """The generator's names of its inputs, with what ONNX calls them: images that go in are `sources` there."""
    return {name: "sources" if name == OUTPUT else name for name in inputs}


def check_format(name: str) -> None:
    """RequestError for a format that there is not, or whose packages are not installed."""
    if name not in FORMATS:
        raise unknown_name("--format", name, FORMATS)
    if missing := [package for package in FORMATS[name].packages if find_spec(package) is None]:
        raise RequestError(
            f"--format {name}: {', '.join(missing)} not installed: pip install gan-pipeline[{name}], or take another "
            "format"
        )


def plain(generator: LoadedGenerator) -> LoadedGenerator:
    """The same generator on the CPU in plain layers: what spectral and weight norm make of weights is part of them.

    Raises:
        RunError: it draws other pictures than the generator.
        RequestError: it cannot be made without these norms.
    """
    recipe = _in_plain_layers(generator.recipe)
    module = build_generator(recipe, generator.info.shape).eval()
    module.load_state_dict(_plain_weights(generator.module))
    found = LoadedGenerator(module, recipe, generator.info, torch.device("cpu"), generator.examples)
    _compare("the network in plain layers", generator, lambda inputs: module(**inputs))
    return found


def export(generator: LoadedGenerator, form: str, folder: Path) -> Path:
    """Writes a plain generator (`plain`) into `folder` in one of `FORMATS`, loads that and compares; returns the file.

    Raises:
        RequestError: an unknown format, packages are missing, or the network cannot be traced.
        RunError: what was loaded draws other pictures.
    """
    check_format(form)
    what, path = FORMATS[form], folder / FORMATS[form].file
    with _quiet():
        what.write(path, generator, interface(generator))
        loaded = what.read(path, generator)
        _compare(path.name, generator, loaded)
    return path


def interface(generator: LoadedGenerator) -> Interface:
    """Names, types, shapes and ranges of a generator's inputs and output."""
    info, module = generator.info, generator.module
    ranges: dict[str, Any] = {
        "latents": {"distribution": "N(0, 1)"},
        "dropout": {"distribution": "U[0, 1)"},
        "labels": {"range": [0, module.num_classes - 1], "names": list(info.class_names)},
        "domains": {"range": [0, module.num_domains - 1], "names": list(info.domain_names)},
        "attributes": {"range": [0, 1], "names": list(info.attribute_names)},
        "captions": {"range": [0, len(info.words)], "words": list(info.words), "fill": 0},
        "embeddings": {"meaning": "what stands for a text, as the training data's encoder made it"},
        "images": {"range": [-1, 1]},
        "hints": {"channels": "1 where there is a hint, then its red, green and blue from -1 to 1; 0 elsewhere"},
    }
    inputs = {
        name: {"dtype": str(tensor.dtype).removeprefix("torch."), "shape": ["batch", *tensor.shape[1:]]}
        | ranges.get(name, {})
        for name, tensor in _trial(generator, 1).items()
    }
    outputs = {OUTPUT: {"dtype": "float32", "shape": ["batch", *info.image_shape], "range": [-1, 1]}}
    about = {
        "recipe": info.recipe_name,
        "step": info.step,
        "seed": info.seed,
        "data_fingerprint": info.data_fingerprint,
    }
    return Interface(inputs, outputs, about)


def _write_weights(path: Path, generator: LoadedGenerator, described: Interface) -> None:
    weights = {name: tensor.contiguous() for name, tensor in generator.module.state_dict().items()}
    save_file(weights, path, metadata={"format": "pt", "interface": json.dumps(described.document("safetensors"))})


def _read_weights(path: Path, generator: LoadedGenerator) -> Draw:
    module = build_generator(generator.recipe, generator.info.shape).eval()
    module.load_state_dict(load_file(path))
    return lambda inputs: module(**inputs)


def _write_program(path: Path, generator: LoadedGenerator, described: Interface) -> None:
    given = _trial(generator, _TRACED)
    program = _traced(
        generator, lambda shapes: torch.export.export(generator.module, (), given, dynamic_shapes=shapes, strict=False)
    )
    extra = {INTERFACE_FILE: json.dumps(described.document("pt2"))}
    torch.export.save(program, path, extra_files=extra)


def _read_program(path: Path, generator: LoadedGenerator) -> Draw:
    module = torch.export.load(path).module()
    return lambda inputs: module(**inputs)


def _write_onnx(path: Path, generator: LoadedGenerator, described: Interface) -> None:
    given = _trial(generator, _TRACED)
    program = _traced(
        generator,
        lambda shapes: torch.onnx.export(
            generator.module,
            (),
            kwargs=given,
            dynamo=True,
            dynamic_shapes=shapes,
            input_names=list(onnx_names(given).values()),
            output_names=[OUTPUT],
            verbose=False,
        ),
    )
    for key, value in described.document("onnx").items():
        program.model.metadata_props[key] = value if isinstance(value, str) else json.dumps(value)
    size = sum(tensor.numel() * tensor.element_size() for tensor in generator.module.state_dict().values())
    program.save(path, external_data=size > _EXTERNAL_BYTES)


def _read_onnx(path: Path, generator: LoadedGenerator) -> Draw:
    import onnxruntime  # type: ignore[import-untyped]

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def draw(inputs: Inputs) -> Tensor:
        names = onnx_names(inputs)
        given = {names[name]: tensor.numpy() for name, tensor in inputs.items()}
        return torch.from_numpy(session.run([OUTPUT], given)[0])

    return draw


FORMATS = {
    "safetensors": Format(WEIGHTS_FILE, _write_weights, _read_weights),
    "pt2": Format("generator.pt2", _write_program, _read_program),
    "onnx": Format("generator.onnx", _write_onnx, _read_onnx, ("onnx", "onnxruntime", "onnxscript")),
}


def _traced(generator: LoadedGenerator, trace: Callable[[dict[str, Any]], Any]) -> Any:
    """What `trace` makes, given shapes of which the batch is open; RequestError where a network cannot be traced."""
    batch = torch.export.Dim("batch", min=1, max=_MOST)
    try:
        return trace({name: {0: batch} for name in generator.module.inputs})
    except Exception as error:
        lines = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
        raise RequestError(
            f"{generator.info.recipe_name} cannot be traced into a program ({lines[0][:200]}): take --format "
            "safetensors"
        ) from error


def _compare(what: str, generator: LoadedGenerator, draw: Draw) -> None:
    """RunError where `draw` makes other pictures than the generator, in either of two batch sizes."""
    for size in _CHECKED:
        inputs = _trial(generator, size)
        with torch.inference_mode():
            expected = generator.module(**{name: tensor.to(generator.device) for name, tensor in inputs.items()}).cpu()
            found = draw(inputs)
        if found.shape != expected.shape or found.dtype != expected.dtype:
            raise RunError(
                f"{what} was loaded again and gives {found.dtype} {list(found.shape)} where the generator gives "
                f"{expected.dtype} {list(expected.shape)}: nothing was exported"
            )
        difference = float((found - expected).abs().max())
        if not difference <= _TOLERANCE:  # NaN is no match
            raise RunError(
                f"{what} was loaded again and draws other pictures than the generator: pixels from -1 to 1 differ by "
                f"up to {difference:.3g} in a batch of {size}, more than half a level of 255; nothing was exported"
            )


def _trial(generator: LoadedGenerator, size: int) -> Inputs:
    """Inputs to trace and to compare with, as the generator's task draws them."""
    examples = _examples(generator) if generator.module.needs_examples else None
    inputs = generator.module.draw_inputs(Draws(0, size), examples=examples)
    return {name: tensor.contiguous() for name, tensor in inputs.items()}


def _examples(generator: LoadedGenerator) -> Split:
    """Random images, with random domains, attributes, captions and embeddings where the generator knows such."""
    info, random = generator.info, torch.Generator().manual_seed(0)
    (channels, height, width), count = info.image_shape, max(_CHECKED)
    pixels = torch.randint(0, 256, (count, height, width, channels), generator=random, dtype=torch.uint8)
    domains = torch.arange(count) % len(info.domain_names) if info.domain_names else None
    attributes = captions = None
    if info.attribute_names:
        attributes = torch.randint(0, 2, (count, len(info.attribute_names)), generator=random, dtype=torch.uint8)
    if info.words:
        captions = torch.randint(1, len(info.words) + 1, (count, CAPTION_WORDS), generator=random)
        captions[torch.arange(CAPTION_WORDS) >= torch.arange(1, count + 1)[:, None]] = 0
    embeddings = torch.randn(count, 1, info.embedding, generator=random) if info.embedding else None
    return Split(pixels, None, [""] * count, domains, captions, attributes, embeddings=embeddings)


def _in_plain_layers(recipe: Recipe) -> Recipe:
    """Without spectral and weight norm in the generator."""
    spec = recipe.networks.generator
    norms = {name: False for name in ("spectral_norm", "weight_norm") if spec.get(name, False)}
    networks = recipe.networks.model_copy(update={"generator": spec.model_copy(update=norms)})
    return recipe.model_copy(update={"networks": networks}) if norms else recipe


def _plain_weights(module: Generator) -> dict[str, Tensor]:
    """The state of the network without parametrizations, each weight as it is used; the module stays as it is."""
    used = {}
    with torch.no_grad(), parametrize.cached():
        for name, part in module.named_modules():
            if parametrize.is_parametrized(part):
                for weight in part.parametrizations:
                    used[f"{name}.{weight}".lstrip(".")] = getattr(part, weight).detach()
    kept = {name: tensor for name, tensor in module.state_dict().items() if ".parametrizations." not in f".{name}"}
    return {name: tensor.cpu().contiguous().clone() for name, tensor in (kept | used).items()}


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what tracers tell about themselves."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)

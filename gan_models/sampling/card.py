"""The model card of an exported generator: a README.md as the Hugging Face Hub reads it.

Its front matter names library, task, tags and, as `model-index`, the figures of the evaluation
(https://huggingface.co/docs/hub/model-cards).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from textwrap import fill
from typing import Any

import yaml

from gan_models.data.shape import COLOURS
from gan_models.metrics.scores import METRICS
from gan_models.sampling.exporting import FORMATS, OUTPUT, Interface, onnx_names
from gan_models.sampling.generator import LoadedGenerator

CARD_FILE = "README.md"
UNSAID_LICENSE = "other"  # the hub's word for one that it has no name for
_TASKS = {"translation": "image-to-image", "colorization": "image-to-image", "text": "text-to-image"}
_SPREAD = "-std"  # behind the name of a figure: its standard deviation
_ROWS = 16  # images that the examples of code draw


def card(
    generator: LoadedGenerator,
    described: Interface,
    forms: Sequence[str],
    figures: Mapping[str, float],
    license_: str,
    picture: str,
) -> str:
    """The text of README.md.

    Args:
        forms: the formats that the folder holds.
        figures: of the evaluation, by their full names; none where there was no evaluation.
        license_: as the hub spells it, `other` where nobody has said.
        picture: what the grid of samples beside it shows; empty where there is no grid.
    """
    front = yaml.safe_dump(_front(generator, forms, figures, license_), sort_keys=False, allow_unicode=True)
    return f"---\n{front}---\n\n" + "\n".join(_body(generator, described, forms, figures, license_, picture)) + "\n"


def _front(
    generator: LoadedGenerator, forms: Sequence[str], figures: Mapping[str, float], license_: str
) -> dict[str, Any]:
    recipe, task = generator.recipe, _TASKS.get(generator.module.task, "unconditional-image-generation")
    said: dict[str, Any] = {"license": license_}
    if license_ == UNSAID_LICENSE:
        said["license_name"] = "not-stated"
    front = {
        **said,
        "library_name": "gan-pipeline",
        "pipeline_tag": task,
        "tags": list(dict.fromkeys(["gan", "image-generation", recipe.name, recipe.networks.generator.family, *forms])),
    }
    kind, name = _data(generator)
    metrics = [
        {"type": _kind(figure), "value": value, "name": figure}
        for figure, value in figures.items()
        if math.isfinite(value) and not figure.endswith(_SPREAD)
    ]
    if metrics:
        result = {"task": {"type": task}, "dataset": {"type": kind, "name": name}, "metrics": metrics}
        front["model-index"] = [{"name": recipe.registry_name, "results": [result]}]
    return front


def _kind(figure: str) -> str:
    """What a figure's full name begins with: the metric."""
    published = {metric.published for metric in METRICS.values() if metric.published}
    known = [name for name in (*METRICS, *published) if figure.startswith(f"{name}-")]
    return (max(known, key=len) if known else re.split(r"-\d", figure)[0]).lower()


def _data(generator: LoadedGenerator) -> tuple[str, str]:
    """Kind and name of the data. Of a path the last part only: the rest is nobody's business."""
    kind, _, place = generator.recipe.data.source.partition(":")
    return kind, place.rstrip("/").rpartition("/")[2] or kind


def _body(
    generator: LoadedGenerator,
    described: Interface,
    forms: Sequence[str],
    figures: Mapping[str, float],
    license_: str,
    picture: str,
) -> Iterator[str]:
    info, recipe = generator.info, generator.recipe
    channels, height, width = info.image_shape
    bits = f" {info.depth}-bit" if info.depth > 8 else ""
    images = f"{COLOURS[channels]}{bits} images of {height}x{width} pixels"
    yield f"# {recipe.registry_name}\n"
    yield _text(f"A GAN's generator of {images}: recipe `{recipe.name}` after {info.step} steps.")
    if picture:
        yield "\n![Samples, nothing picked](grid.png)\n"
        yield _text(f"{picture[0].upper()}{picture[1:]}; nothing was picked.")
    yield "\n## What goes in and what comes out\n"
    yield "| | name | type | shape | values |"
    yield "| --- | --- | --- | --- | --- |"
    for name, tensor in described.inputs.items():
        called = f"`{name}` (ONNX: `{onnx_names({name: 0})[name]}`)" if name == OUTPUT else f"`{name}`"
        yield f"| in | {called} | {tensor['dtype']} | {_shape(tensor)} | {_values(name, tensor)} |"
    yield f"| out | `{OUTPUT}` | float32 | {_shape(described.outputs[OUTPUT])} | -1 (black) to 1 (white) |\n"
    yield _text(
        "A batch may have any number of images. Each file was loaded again and compared with the trained generator in "
        "two batch sizes before it was put here."
    )
    yield "\n## How to draw"
    for form in forms:
        yield ""
        yield from _code(form, described)
    yield "\n## Data and recipe\n"
    kind, name = _data(generator)
    yield f"- data: {name if kind == name else f'{name} ({kind})'}, fingerprint `{info.data_fingerprint[:16]}`"
    known = {"classes": info.class_names, "domains": info.domain_names, "words": info.words}
    for what, names in {**known, "attributes": info.attribute_names}.items():
        if names:
            rest = f" and {len(names) - _ROWS} more" if len(names) > _ROWS else ""
            yield _text(f"- {what}: {', '.join(names[:_ROWS])}{rest}")
    paper = f" ({recipe.paper})" if recipe.paper else ""
    yield _text(f"- recipe: {recipe.description.rstrip('.')}{paper}")
    fewest, most = min(recipe.training.batch_sizes), max(recipe.training.batch_sizes)
    batches = f"{most}" if fewest == most else f"{fewest} to {most}"
    yield _text(
        f"- training: {info.step} steps of {batches} images, seed {info.seed}; every setting is in `recipe.yaml`"
    )
    yield "\n## Figures\n"
    yield from _figures(figures)
    yield "\n## Limits\n"
    yield from map(_text, _limits(generator, forms))
    yield "\n## License\n"
    if license_ == UNSAID_LICENSE:
        said = "Not stated yet. Whoever publishes this says it here and in `license` above."
    else:
        said = f"`{license_}`, for the weights."
    yield _text(f"{said} The rights in the images that it was trained on count too.")


def _text(text: str) -> str:
    """A paragraph or an item of a list, in lines."""
    return fill(" ".join(text.split()), 120, subsequent_indent="  " if text.startswith("- ") else "")


def _shape(tensor: Mapping[str, Any]) -> str:
    return f"[{', '.join(map(str, tensor['shape']))}]"


def _values(name: str, tensor: Mapping[str, Any]) -> str:
    if name == "latents":
        return "independent, from N(0, 1)"
    if name == "dropout":
        return "independent, from U[0, 1): features are left out by them"
    if name == "captions":
        return "numbers of words as `words` in the file's metadata has them, from 1; 0 behind the last word"
    if name == "embeddings":
        return "what stands for a text, as the encoder of the training data made it"
    if "range" not in tensor:
        return str(tensor.get("channels", ""))
    low, high = tensor["range"]
    if name == "attributes":
        return f"{low} or {high} each: {', '.join(tensor['names'][:_ROWS])}"
    return f"{low} to {high}"


def _figures(figures: Mapping[str, float]) -> Iterator[str]:
    if not figures:
        yield "None: this generator was exported without an evaluation."
        return
    yield "| figure | value |"
    yield "| --- | --- |"
    for name, value in figures.items():
        spread = figures.get(name + _SPREAD)
        if not name.endswith(_SPREAD):
            yield f"| {name} | {value:.4g}{'' if spread is None else f' ± {spread:.2g}'} |"
    yield ""
    yield _text(
        "A name says what was measured, with which extractor, against which split of the data and with how many "
        "images. Only `FID` can be compared with published numbers, anything else only with figures of the same name."
    )


def _limits(generator: LoadedGenerator, forms: Sequence[str]) -> Iterator[str]:
    info = generator.info
    yield "- It draws what its data showed, in their proportions and with their gaps and biases, and nothing else."
    yield (
        "- It may repeat training images. Before publishing one that was trained on people or on works, look at the "
        "nearest training images in the evaluation's report."
    )
    yield f"- Its samples differ {info.diversity:.0%} as much as real images do (mean distance of pairs)."
    if info.collapsed:
        yield "- **The training counted it as collapsed:** samples hardly differ from each other."
    if "pt2" in forms:
        yield (
            "- `generator.pt2` is a program. Loading one can run code: load such files only from people whom you trust."
        )
    if generator.module.needs_examples and "safetensors" in forms and generator.examples is not None:
        yield "- `examples.safetensors` holds real images or texts of the data, used where none are given."


def _code(form: str, described: Interface) -> Iterator[str]:
    file = FORMATS[form].file
    if form == "safetensors":
        yield f"`{file}` with `recipe.yaml` and `generator.json`: plain weights, spectral norm divided in."
        yield ""
        yield "```"
        yield "pip install gan-pipeline"
        yield "gan-pipeline sample . --out more.png"
        yield "```"
        return
    pt2 = form == "pt2"
    given = [f"{onnx_names({name: 0})[name] if not pt2 else name}" for name in described.inputs]
    values = [_example(name, tensor, pt2) for name, tensor in described.inputs.items()]
    yield f"`{file}` needs nothing of gan-pipeline:"
    yield ""
    yield "```python"
    if pt2:
        yield "import torch"
        yield ""
        yield f'draw = torch.export.load("{file}").module()'
        yield f"images = draw({', '.join(f'{name}={value}' for name, value in zip(given, values, strict=True))})"
    else:
        yield "import numpy as np"
        yield "import onnxruntime"
        yield ""
        yield f'session = onnxruntime.InferenceSession("{file}")'
        pairs = ", ".join(f'"{name}": {value}' for name, value in zip(given, values, strict=True))
        yield f'images = session.run(["{OUTPUT}"], {{{pairs}}})[0]'
    yield "```"


def _example(name: str, tensor: Mapping[str, Any], pt2: bool) -> str:
    """Code for a batch of an input."""
    inner = ", ".join(map(str, tensor["shape"][1:]))
    if name == "latents":
        return f"torch.randn({_ROWS}, {inner})" if pt2 else f'np.random.randn({_ROWS}, {inner}).astype("float32")'
    if name == "embeddings":
        return f"torch.zeros({_ROWS}, {inner})" if pt2 else f'np.zeros(({_ROWS}, {inner}), "float32")'
    if name == "dropout":
        return f"torch.rand({_ROWS}, {inner})" if pt2 else f'np.random.rand({_ROWS}, {inner}).astype("float32")'
    if name in ("labels", "domains"):
        return f"{'torch' if pt2 else 'np'}.arange({_ROWS}) % {tensor['range'][1] + 1}"
    if name == "captions":
        return f"torch.ones({_ROWS}, {inner}, dtype=torch.int64)" if pt2 else f'np.ones(({_ROWS}, {inner}), "int64")'
    return f"torch.zeros({_ROWS}, {inner})" if pt2 else f'np.zeros(({_ROWS}, {inner}), "float32")'

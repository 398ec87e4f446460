"""An extractor of the user's own: a network in an ONNX file, run by ONNX Runtime on the processor.

The network takes float32 [N, C, H, W], C 1 or 3, and gives features [N, D] (or [N, D, 1, 1]): the output called
`features`, or the first that is not called `logits`. The output called `logits`, or the second, gives [N, K] of a
classifier, for the Inception Score. What it expects of pixels stands in the file's own `metadata_props`:

    gan_pipeline.size     side that images are resized to; default: the input's, or as they come where that is open
    gan_pipeline.resize   `bilinear` (antialiased; the default), `bicubic` (antialiased), `nearest` or `area`
    gan_pipeline.range    what 0 and 255 become, as in `0, 1` (the default) or `-1, 1`
    gan_pipeline.mean     subtracted after that, one number or one for each channel; default 0
    gan_pipeline.std      what is left is divided by it; default 1

A file is data: nothing in it is unpickled, and operators of other libraries are not loaded. Its figures bear the first
digits of its SHA-256, so that those of different files are never taken for each other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from gan_models.errors import RequestError, home_path
from gan_models.metrics.extraction import FeatureExtractor

PREFIX = "gan_pipeline."
_RESIZERS = ("bilinear", "bicubic", "nearest", "area")
_BATCH = 32


class _Pixels(NamedTuple):
    """What the network expects."""

    channels: int
    size: int | None  # None: as they come
    resize: str
    range: tuple[float, float]
    mean: tuple[float, ...]
    std: tuple[float, ...]


class OnnxExtractor(FeatureExtractor):
    """The extractor `onnx:PATH`.

    Args:
        side: of the images to come, for a network that takes any: it is tried on one before hours of training.

    Raises:
        RequestError: the file is absent, no such network, fails on a grey image, or says odd things of its pixels.
    """

    batch = _BATCH

    def __init__(self, file: str | Path, *, side: int = 32) -> None:
        self._place = f"evaluation.extractor onnx:{file}"
        content = _read(home_path(file), self._place)
        digest = hashlib.sha256(content).hexdigest()
        self.name = f"onnx-{digest[:8]}"
        self._session = _session(content, self._place)
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or inputs[0].type != "tensor(float)" or len(inputs[0].shape) != 4:
            found = ", ".join(f"{one.name} {one.type} {one.shape}" for one in inputs)
            raise RequestError(f"{self._place}: the network must take one float32 [N, C, H, W], and takes {found}")
        self._input: str = inputs[0].name
        rows, *shape = (side if isinstance(side, int) else None for side in inputs[0].shape)
        self._rows: int | None = rows
        self._pixels = _pixels(self._session.get_modelmeta().custom_metadata_map, shape, self._place)
        self._features, self._logits = _outputs([output.name for output in self._session.get_outputs()])
        side = self._pixels.size or side
        grey = torch.full((1, side, side, self._pixels.channels), 128, dtype=torch.uint8)
        features, logits = self.forward(grey)
        asked = self._pixels._asdict()
        details = {
            "weights_sha256": digest,
            "features": features.shape[1],
            "logits": None if logits is None else logits.shape[1],
            "layer": self._features,
            "input": {key: list(value) if isinstance(value, tuple) else value for key, value in asked.items()},
        }
        super().__init__(details, "cpu")

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        pixels = self._prepared(images).numpy()
        count = len(pixels)
        if self._rows is None:
            parts = [self._run(pixels)]
        else:
            # A network of a fixed batch: the last one is filled up with its own last image.
            filled = np.concatenate([pixels, pixels[-1:].repeat(-count % self._rows, axis=0)])
            parts = [self._run(filled[start : start + self._rows]) for start in range(0, len(filled), self._rows)]
        features = torch.cat([part[0] for part in parts])[:count]
        logits = None if self._logits is None else torch.cat([part[1] for part in parts])[:count]
        return features, logits

    def _prepared(self, images: Tensor) -> Tensor:
        """float32 [B, C, H, W] as the network expects them of uint8 [B, H, W, C]."""
        asked = self._pixels
        pixels = images.cpu().permute(0, 3, 1, 2).float()
        if asked.channels < pixels.shape[1]:
            raise RequestError(f"{self._place}: the network takes grey images, and these have colours")
        size = asked.size
        if size is not None and tuple(pixels.shape[2:]) != (size, size):
            smooth = asked.resize in ("bilinear", "bicubic")
            pixels = F.interpolate(pixels, size=(size, size), mode=asked.resize, antialias=smooth)
        low, high = asked.range
        pixels = (pixels * ((high - low) / 255.0) + low).expand(-1, asked.channels, -1, -1)
        mean, std = (torch.tensor(each).view(1, -1, 1, 1) for each in (asked.mean, asked.std))
        return ((pixels - mean) / std).contiguous()

    def _run(self, pixels: np.ndarray) -> list[Tensor]:
        """Features and, where there are any, logits of as many images as the network takes."""
        names = [name for name in (self._features, self._logits) if name is not None]
        try:
            outputs = self._session.run(names, {self._input: pixels})
        except Exception as error:  # of ONNX Runtime, which has a dozen kinds of its own
            reason = " ".join(str(error).split())[:200]
            raise RequestError(f"{self._place}: the network failed on {list(pixels.shape)} ({reason})") from None
        found = []
        for name, output in zip(names, outputs, strict=True):
            tensor = torch.from_numpy(np.array(output)).float()
            while tensor.dim() > 2 and tensor.shape[-1] == 1:
                tensor = tensor[..., 0]
            if tensor.dim() != 2 or len(tensor) != len(pixels):
                raise RequestError(
                    f"{self._place}: the output {name!r} must be [N, D] or [N, D, 1, 1], and is "
                    f"{list(np.shape(output))} for {len(pixels)} images"
                )
            if not torch.isfinite(tensor).all():
                raise RequestError(f"{self._place}: the output {name!r} holds NaN or infinite values")
            found.append(tensor)
        return found


def _read(path: Path, place: str) -> bytes:
    if not path.is_file():
        raise RequestError(f"{place}: there is no file {path}")
    try:
        return path.read_bytes()
    except OSError as error:
        raise RequestError(f"{place}: {path} can't be read ({error.strerror})") from None


def _session(content: bytes, place: str) -> Any:
    onnxruntime = import_module("onnxruntime")  # has no types
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 4  # what it would print is in the sentence
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # of ONNX Runtime, which has a dozen kinds of its own
        reason = " ".join(str(error).split())[:200]
        raise RequestError(
            f"{place}: that is no network in ONNX with its weights in the same file ({reason}): export it again"
        ) from None


def _outputs(names: list[str]) -> tuple[str, str | None]:
    """Which outputs are the features and the logits."""
    features = "features" if "features" in names else next((name for name in names if name != "logits"), names[0])
    others = [name for name in names if name != features]
    return features, "logits" if "logits" in others else next(iter(others), None)


def _pixels(metadata: Mapping[str, str], shape: list[int | None], place: str) -> _Pixels:
    """What the file says of its input [C, H, W], None where that is open; RequestError where it cannot be."""
    channels, height, width = shape
    if channels not in (None, 1, 3) or height != width:
        raise RequestError(f"{place}: the network must take square images of 1 or 3 channels, not {shape}")
    known = ("size", "resize", "range", "mean", "std")
    for key in metadata:
        if key.startswith(PREFIX) and key.removeprefix(PREFIX) not in known:
            raise RequestError(f"{place}: its metadata hold {key!r}, and only {', '.join(known)} mean something there")

    def numbers(name: str, default: str, counts: tuple[int, ...]) -> tuple[float, ...]:
        text = metadata.get(PREFIX + name, default)
        try:
            found = tuple(float(part) for part in text.split(","))
        except ValueError:
            found = ()
        if len(found) not in counts or not np.isfinite(found).all():
            expected = " or ".join(map(str, counts))
            raise RequestError(f"{place}: {PREFIX}{name} must be {expected} numbers with commas between, not {text!r}")
        return found

    size = height
    if PREFIX + "size" in metadata:
        (side,) = numbers("size", "", (1,))
        if side != int(side) or not 1 <= side <= 4096 or (height is not None and side != height):
            fixed = "" if height is None else f", and the network takes {height}"
            raise RequestError(f"{place}: {PREFIX}size is {side:g}{fixed}")
        size = int(side)
    resize = metadata.get(PREFIX + "resize", _RESIZERS[0])
    if resize not in _RESIZERS:
        raise RequestError(f"{place}: {PREFIX}resize must be one of {', '.join(_RESIZERS)}, not {resize!r}")
    count = channels or 3
    low, high = numbers("range", "0, 1", (2,))
    mean, std = (numbers(name, default, tuple({1, count})) for name, default in (("mean", "0"), ("std", "1")))
    if not low < high or min(std) <= 0:
        raise RequestError(f"{place}: {PREFIX}range must rise, and {PREFIX}std be above 0")
    return _Pixels(count, size, resize, (low, high), mean, std)

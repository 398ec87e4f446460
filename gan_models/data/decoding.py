"""From an image of any kind to uint8 pixels of one size, or a reason why not.

Runs in the decoder processes (`serve`), so it imports little: Pillow, and numpy only for 16- and 32-bit images.

What happens to an image, in this order: the first frame is taken, EXIF orientation is applied, transparency is laid on
white, every mode becomes 8-bit grey or RGB, the centre of the target's form is cut out (or the image is padded with
black to that form), and that is resized. Large images are shrunk cheaply first (JPEG's own scaling, then box
reduction) to no less than three times the target, which Pillow documents as indistinguishable from resampling at full
size.
"""

from __future__ import annotations

import gc
import io
import math
import os
import pickle
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.PngImagePlugin import PngImageFile

from gan_models.data.formats import HEAD_BYTES, WINDOW, MissingPackageError, opener_of
from gan_models.data.halves import Half
from gan_models.data.ranges import DEEP_WHITE, Range, Ranges, kind_of
from gan_models.data.shape import Size

if TYPE_CHECKING:
    import numpy as np

FILTERS = {name: Image.Resampling[name.upper()] for name in ("nearest", "box", "bilinear", "bicubic", "lanczos")}
SHRINK_GAP = 3.0
DIGEST_BYTES = 8
STRIP_PIXELS = 1 << 20
"""Of a large image that is made into 8 bits at a time, so that it is in memory twice at most, and not five times."""
ORIENTATION_TAG = 0x0112
# Pillow would hand PostScript to an external interpreter: never with files of unknown origin.
REFUSED_FORMATS = frozenset({"EPS"})
MODES = {1: "L", 3: "RGB", 4: "RGBA"}
"""Of Pillow, by the number of channels."""
PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
JPEG_MAGIC = b"\xff\xd8\xff"

_BY_ITSELF = Ranges()


class BadImageError(Exception):
    """This image cannot be used; the message is the reason, in a few words."""


Item = bytes | str | Image.Image | Half | BadImageError
"""The bytes of an image file, its path, an open image, half of one of these, or the reason why there is none."""


@dataclass(frozen=True)
class Target:
    """What every image becomes."""

    size: Size
    channels: int
    resize: str = "bicubic"
    fit: str = "crop"
    ranges: Ranges = _BY_ITSELF
    depth: int = 8
    """Bits of a value, 8 or 16."""
    encoded: bool = False
    """Whether pixels are kept compressed, without loss, and not as they are."""

    @property
    def mode(self) -> str:
        return MODES[self.channels]

    @property
    def row_bytes(self) -> int:
        return self.size.places * self.channels * self.depth // 8


@dataclass
class Decoded:
    """The outcome of a batch: the usable images, and the reasons for the others."""

    kept: list[int] = field(default_factory=list)  # positions in the batch of the images in `pixels`, ascending
    pixels: bytes = b""  # uint8, or little-endian uint16, [len(kept), H, W, channels]
    encoded: list[bytes] = field(default_factory=list)  # in place of `pixels`, where the target is to be encoded
    digests: bytes = b""  # a hash of each kept image's pixels, DIGEST_BYTES each
    reasons: list[tuple[int, str]] = field(default_factory=list)  # (position, why) of the images that cannot be used
    coloured: int = 0  # kept images that lost their colours because the target is grey


def decode_batch(items: Sequence[Item], target: Target) -> Decoded:
    """Decode images one after another; a bad one never stops the others."""
    decoded = Decoded()
    if target.depth > 8:
        return _with_digests(_decode_deep_batch(items, target, decoded), target)
    # All images go beneath each other onto one strip: taking the bytes out once is cheaper than once an image.
    height, width = target.size
    strip = Image.new(target.mode, (width, height * len(items)))
    top = 0
    for position, item in enumerate(items):
        try:
            image, coloured = _decode(item, target)
        except Exception as error:  # decoders raise nearly anything on damaged input
            decoded.reasons.append((position, reason_of(error)))
            continue
        # The method behind Image.paste, which takes as long again to look at its arguments.
        strip.im.paste(image.im, (0, top, width, top + height))
        top += height
        decoded.kept.append(position)
        decoded.coloured += coloured
        if target.encoded:
            decoded.encoded.append(encode(image))
    decoded.pixels = strip.tobytes()[: target.row_bytes * len(decoded.kept)]
    return _with_digests(decoded, target)


def _with_digests(decoded: Decoded, target: Target) -> Decoded:
    size, rows = target.row_bytes, memoryview(decoded.pixels)
    hashes = (blake2b(rows[row : row + size], digest_size=DIGEST_BYTES) for row in range(0, len(rows), size))
    decoded.digests = b"".join([each.digest() for each in hashes])
    if target.encoded:
        decoded.pixels = b""
    return decoded


def encode(image: Image.Image) -> bytes:
    """An image compressed without loss: as WebP, which is smaller than PNG and faster both ways."""
    file = io.BytesIO()
    image.save(file, "WEBP", lossless=True, method=0, quality=0, exact=True)
    return file.getvalue()


def joined(parts: Sequence[Decoded]) -> Decoded:
    """The outcome of a batch from the outcomes of its items, each decoded alone."""
    return Decoded(
        kept=[position for position, part in enumerate(parts) if part.kept],
        pixels=b"".join(part.pixels for part in parts),
        encoded=[each for part in parts for each in part.encoded],
        digests=b"".join(part.digests for part in parts),
        reasons=[(position, reason) for position, part in enumerate(parts) for _, reason in part.reasons],
        coloured=sum(part.coloured for part in parts),
    )


def _decode(item: Item, target: Target) -> tuple[Image.Image, bool]:
    """The finished image, of the target's mode, and whether its colours were lost."""
    image = open_image(item)
    coloured = target.channels == 1 and image.mode != "L" and not is_grey(image)
    if image.format == "JPEG" and target.resize != "nearest":
        _draft(image, target)
    sized = fitted(_upright(image, ours=image is not item), target)
    if isinstance(item, str) and sized is not image:
        image.close()
    return sized, coloured


def _decode_deep_batch(items: Sequence[Item], target: Target, decoded: Decoded) -> Decoded:
    rows = []
    for position, item in enumerate(items):
        try:
            image = open_image(item)
            coloured = target.channels == 1 and not is_grey(image)
            values = in_sixteen_bits(_upright(image, ours=image is not item), target)
        except Exception as error:  # decoders raise nearly anything on damaged input
            decoded.reasons.append((position, reason_of(error)))
            continue
        if isinstance(item, str):
            image.close()
        rows.append(values.tobytes())
        decoded.kept.append(position)
        decoded.coloured += coloured
    decoded.pixels = b"".join(rows)
    return decoded


def in_sixteen_bits(image: Image.Image, target: Target) -> np.ndarray:
    """An upright image as the target has it, in 16 bits: uint16, little-endian, [H, W, channels].

    Resized as numbers that nothing has rounded yet. BadImageError as `in_eight_bits`.
    """
    import numpy as np

    parts = [
        np.asarray(to_size(Image.fromarray(share), target.size, target.resize, target.fit))
        for share in _shares(image, target)
    ]
    return np.rint(np.stack(parts, axis=-1).clip(0, 1) * DEEP_WHITE).astype("<u2")


def _shares(image: Image.Image, target: Target) -> Iterator[np.ndarray]:
    """Of each channel, how far every value is from black to white, float32 [H, W] from 0 to 1."""
    import numpy as np

    kind = kind_of(image.mode)
    if kind == "bytes":
        plain = _in_plain_mode(image, target.channels == 4).convert(target.mode)
        ranges = [target.ranges.bytes] * target.channels
        if target.channels == 4:
            ranges[3] = Range(0, 255)
        found = [(np.asarray(band, np.float32), values) for band, values in zip(plain.split(), ranges, strict=True)]
    else:
        grey = np.asarray(image).astype(np.float32)
        values = _range_of(kind, float(grey.min()), float(grey.max()), target.ranges, _window_of(image))
        found = [(grey, values)] * target.channels
    for band, values in found:
        yield ((band - values.black) / (values.white - values.black)).clip(0, 1)


def fitted(image: Image.Image, target: Target) -> Image.Image:
    """An upright image as the target has it."""
    whole = in_eight_bits(image, target.ranges, alpha=target.channels == 4)
    if whole.mode != target.mode:
        whole = whole.convert(target.mode)
    return to_size(whole, target.size, target.resize, target.fit)


def whole_image(item: Item, ranges: Ranges = _BY_ITSELF) -> Image.Image:
    """An image at its own size, upright, L or RGB; raises nearly anything for one that is damaged (`reason_of`)."""
    image = open_image(item)
    whole = in_eight_bits(_upright(image, ours=image is not item), ranges)
    whole.load()
    if isinstance(item, str) and whole is not image:
        image.close()
    return whole


def open_image(item: Item) -> Image.Image:
    """Opens an image, its header alone; BadImageError: absent, empty, unknown, or over Pillow's limit of pixels."""
    if isinstance(item, BadImageError):
        raise item
    if isinstance(item, Image.Image):
        return item
    if isinstance(item, Half):
        return _half(item)
    if isinstance(item, bytes):
        file: io.BytesIO | str = io.BytesIO(item)
        head = item[:HEAD_BYTES]
    else:
        file = item
        if Path(item).exists() and not Path(item).is_file():  # opened, a pipe would be waited for
            raise BadImageError("a pipe, a socket or a device, no file")
        with Path(item).open("rb") as start:
            head = start.read(HEAD_BYTES)
    if not head:
        raise BadImageError("the file is empty")
    image: Image.Image
    if head.startswith(PNG_MAGIC):  # asking every format costs a fifth of a small image's decoding
        image = PngImageFile(file)
    elif opener := opener_of(head):
        image = opener(file)
    else:
        image = Image.open(file, formats=_formats(head))
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and image.width * image.height > limit:
        raise BadImageError(f"too large: {image.width}x{image.height} pixels, the limit is {limit}")
    return image


def _formats(head: bytes) -> tuple[str, ...]:
    if head.startswith(JPEG_MAGIC):
        return ("JPEG",)
    return ("WEBP",) if head[8:12] == b"WEBP" else _all_formats()


def _half(half: Half) -> Image.Image:
    """Upright, so that left is where it is seen; a column in the middle of an odd width belongs to neither."""
    with open_image(half.item) if not isinstance(half.item, Image.Image) else nullcontext(half.item) as whole:
        if whole.width < 2:
            raise BadImageError("one pixel wide: it has no halves")
        upright = _upright(whole, ours=False)
        width = upright.width // 2
        left = 0 if half.side == "left" else upright.width - width
        return upright.crop((left, 0, left + width, upright.height))


def _all_formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in Image.ID if name not in REFUSED_FORMATS)


def reason_of(error: Exception) -> str:
    """A decoder's error in a few words, the same on every machine (no memory addresses, no paths)."""
    reasons = {
        BadImageError: str(error),
        MissingPackageError: str(error),
        UnidentifiedImageError: "not an image of a known format",
        Image.DecompressionBombError: (bomb := f"too large: more pixels than the limit of {Image.MAX_IMAGE_PIXELS}"),
        Image.DecompressionBombWarning: bomb,
        FileNotFoundError: "the file is gone (or is a link to nothing)",
        PermissionError: "no permission to read the file",
        MemoryError: "too large: not enough memory to decode it",
    }
    for kind, reason in reasons.items():
        if isinstance(error, kind):
            return reason
    text = " ".join(str(error).split())[:200]
    return f"damaged: {text}" if text and " at 0x" not in text else f"damaged: {type(error).__name__}"


def is_grey(image: Image.Image) -> bool:
    """Whether the image's mode (for a palette: its colours) holds no colour."""
    if image.mode == "P":
        palette = image.getpalette("RGB") or []
        return palette[0::3] == palette[1::3] == palette[2::3]
    return image.mode in ("1", "L", "LA", "La", "I", "F") or image.mode.startswith("I;16")


def stored_bits(image: Image.Image) -> int:
    """Of a value in the file, by how Pillow is going to read it: colours of 16 bits come as 8."""
    return 16 if any(";16" in str(tile[3]) for tile in getattr(image, "tile", ())) else 8


def _draft(image: Image.Image, target: Target) -> None:
    """Let the JPEG decoder scale (by 1/2, 1/4 or 1/8) where far more pixels are there than are needed."""
    height, width = target.size
    shares = width / image.width, height / image.height
    share = SHRINK_GAP * (max(shares) if target.fit == "crop" else min(shares))
    if share < 0.5:
        image.draft(None, (math.ceil(image.width * share), math.ceil(image.height * share)))


def _upright(image: Image.Image, ours: bool) -> Image.Image:
    """`ours`: nobody else has it, so it may be turned in its own place."""
    image.load()
    if not image.info:  # a plain image: no EXIF to look for
        return image
    try:
        orientation = image.getexif().get(ORIENTATION_TAG, 1)
    except Exception:  # damaged EXIF data in an image that decodes well
        return image
    if orientation not in range(2, 9):
        return image
    if not ours:
        return ImageOps.exif_transpose(image)
    ImageOps.exif_transpose(image, in_place=True)
    return image


def in_eight_bits(image: Image.Image, ranges: Ranges = _BY_ITSELF, *, alpha: bool = False) -> Image.Image:
    """Any Pillow mode as L or RGB, its values from 0 to 255; 32-bit integers are taken for 16-bit values.

    Args:
        alpha: what is transparent stays so, as RGBA; else it becomes white.

    Raises:
        BadImageError: values beyond the ranges, where these do not cut them off.
    """
    if kind_of(image.mode) != "bytes":
        return _from_deep(image, ranges)
    return _spread(_in_plain_mode(image, alpha), ranges.bytes)


def _in_plain_mode(image: Image.Image, alpha: bool) -> Image.Image:
    """L, RGB or RGBA."""
    if image.mode in ("L", "RGB") and "transparency" not in image.info:
        return image
    if image.has_transparency_data:
        return image.convert("RGBA") if alpha else _joined_strips(image, "RGB", _on_white)
    if image.mode == "LAB":
        return _from_lab(image)
    return image.convert("L" if image.mode == "1" else "RGB")


def _spread(image: Image.Image, values: Range) -> Image.Image:
    """The colours of L, RGB or RGBA spread over 0..255, where their range is another."""
    if (values.black, values.white) == (0, 255):
        return image
    width = values.white - values.black
    table = [min(255, max(0, round((value - values.black) * 255 / width))) for value in range(256)]
    opacity = [*range(256)]
    return image.point(table * 3 + opacity if image.mode == "RGBA" else table * len(image.getbands()))


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode in ("La", "RGBa"):
        image = image.convert({"La": "LA", "RGBa": "RGBA"}[image.mode])
    layer = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")


def _strips(image: Image.Image) -> Iterator[Image.Image]:
    """The image itself, or parts of a large one from top to bottom."""
    rows = max(1, STRIP_PIXELS // image.width)
    if image.height <= rows:
        yield image
        return
    for top in range(0, image.height, rows):
        yield image.crop((0, top, image.width, min(top + rows, image.height)))


def _joined_strips(image: Image.Image, mode: str, change: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """What `change` makes of an image, where it treats every pixel by itself."""
    whole: Image.Image | None = None
    top = 0
    for strip in _strips(image):
        changed = change(strip)
        if strip is image:
            return changed
        whole = whole or Image.new(mode, image.size)
        whole.paste(changed, (0, top))
        top += strip.height
    assert whole is not None
    return whole


def _from_deep(image: Image.Image, ranges: Ranges) -> Image.Image:
    import numpy as np

    extremes = [(values.min(), values.max()) for values in map(np.asarray, _strips(image))]
    low, high = float(np.min(extremes)), float(np.max(extremes))
    values = _range_of(kind_of(image.mode), low, high, ranges, _window_of(image))
    scale = 255.0 / (values.white - values.black)

    def scaled(strip: Image.Image) -> Image.Image:
        spread = np.rint((np.asarray(strip).astype(np.float64) - values.black) * scale)
        return Image.fromarray(spread.clip(0, 255).astype(np.uint8))

    return _joined_strips(image, "L", scaled)


def _window_of(image: Image.Image) -> Range | None:
    """What the file itself says is black and white."""
    window = image.info.get(WINDOW)
    return None if window is None else Range(window[0], window[1], cut=True)


def _range_of(kind: str, low: float, high: float, ranges: Ranges, window: Range | None) -> Range:
    """Of an image whose values are deep or floats; BadImageError where that range does not hold them."""
    values = ranges.deep if kind == "deep" else ranges.floats or Range(0, 1 if high <= 1 else 255)
    if window is not None:
        inverted = window.black > window.white
        asked = values._replace(black=values.white, white=values.black) if inverted else values
        values = asked if values.cut else window
    if math.isfinite(low + high) and (values.cut or (low >= values.black and high <= values.white)):
        return values
    if kind == "deep" and low >= 0 and high <= DEEP_WHITE:
        raise BadImageError(f"a value of {high:g}, where the images looked at first end at {values.white:g}")
    raise BadImageError(
        f"32-bit values from {low:g} to {high:g}: store 8 or 16 bits, or floats in [0, 1], or say data.range"
    )


def _from_lab(image: Image.Image) -> Image.Image:
    from PIL import ImageCms

    converted = ImageCms.profileToProfile(
        image, ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), outputMode="RGB"
    )
    if converted is None:
        raise BadImageError("its Lab colours could not be converted")
    return converted


def to_size(image: Image.Image, size: Size, resize: str, fit: str) -> Image.Image:
    """Resize: the largest part of that form in the centre of the image, or all of it on black."""
    (width, height), wanted = image.size, (size.width, size.height)
    if image.size == wanted:
        return image
    alike = width * size.height == height * size.width
    if alike and width < SHRINK_GAP * size.width:
        return image.resize(wanted, FILTERS[resize])
    gap = None if resize == "nearest" else SHRINK_GAP
    if fit == "crop":
        scale = min(width / size.width, height / size.height)  # pixels of the image for one of the target's
        across, down = min(width, round(scale * size.width)), min(height, round(scale * size.height))
        left, top = (width - across) // 2, (height - down) // 2
        box = (left, top, left + across, top + down)
        return image.resize(wanted, FILTERS[resize], box=box, reducing_gap=gap)
    scale = min(size.width / width, size.height / height)
    inner = (max(1, round(width * scale)), max(1, round(height * scale)))
    resized = image.resize(inner, FILTERS[resize], reducing_gap=gap)
    if inner == wanted:
        return resized
    canvas = Image.new(image.mode, wanted, 0)
    canvas.paste(resized, ((wanted[0] - inner[0]) // 2, (wanted[1] - inner[1]) // 2))
    return canvas


def serve() -> None:
    """What a decoder process does: reads pickled (items, target) from standard input, answers on standard output.

    Ends when its input ends: when the parent goes, however it goes, the pipe closes and no process is left behind.
    Only ever talks to the process that started it.
    """
    # Ctrl-C reaches the whole process group; the parent decides what happens, and closes the pipe.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warnings.simplefilter("ignore")
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    gc.freeze()  # what was imported stays: no need to look at it again
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a library that prints must not break the protocol
    while True:
        try:
            items, target = pickle.load(requests)
        except (EOFError, pickle.UnpicklingError):
            return
        try:
            pickle.dump(decode_batch(items, target), answers, pickle.HIGHEST_PROTOCOL)
            answers.flush()
        except BrokenPipeError:
            return

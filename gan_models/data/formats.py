"""Image formats that Pillow alone does not read: HEIC, as telephones store it, and DICOM, as hospitals do.

Each is read by a package of its own. Of DICOM the first frame is taken. Grey values are those that are meant (of a CT
Hounsfield units), and the file's own window goes with them: its lower end is to become black and its upper end white;
without a window, the range of its stored bits.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import IO, TYPE_CHECKING, Any

from PIL import Image

if TYPE_CHECKING:
    import numpy as np

DICOM = "DICOM"
WINDOW = "window"
"""In an image's `info`: the values that its file says become black and white."""
HEAD_BYTES = 132
"""Of a file, by which its format is known."""
HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
Opener = Callable[[IO[bytes] | str], Image.Image]


class MissingPackageError(Exception):
    """An image of a format that an absent package reads; the message says which."""


def opener_of(head: bytes) -> Opener | None:
    """What opens a file that begins so; None where Pillow itself does. MissingPackageError: its package is not here."""
    if head[4:8] == b"ftyp" and head[8:12] in HEIC_BRANDS:
        _need("pillow_heif", "HEIC", "heic")
        return _open_heic
    if head[128:132] == b"DICM":
        _need("pydicom", "DICOM", "dicom")
        return _open_dicom
    return None


def _need(module: str, what: str, extra: str) -> None:
    if find_spec(module) is None:
        package = module.replace("_", "-")
        raise MissingPackageError(
            f"{what} images are read by the package {package}, which is not installed: pip install "
            f"gan-pipeline[{extra}]"
        )


def _open_heic(file: IO[bytes] | str) -> Image.Image:
    from pillow_heif import register_heif_opener

    register_heif_opener()
    return Image.open(file, formats=("HEIF",))


def _open_dicom(file: IO[bytes] | str) -> Image.Image:
    from pydicom import dcmread

    pixels, window = _pixels(dcmread(file))
    image = Image.fromarray(pixels)
    image.format = DICOM
    if window is not None:
        image.info[WINDOW] = window
    return image


def _pixels(data: Any) -> tuple[np.ndarray, tuple[float, float] | None]:
    """The first frame: uint8 [H, W, 3], or float32 [H, W] and the values of it that become black and white."""
    import numpy as np
    from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi_lut
    from pydicom.pixels.utils import pixel_array

    if "PixelData" not in data:
        raise ValueError("a DICOM file without an image")
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and data.Rows * data.Columns > limit:
        raise Image.DecompressionBombError
    values, bits = pixel_array(data, index=0), data.BitsStored
    if data.PhotometricInterpretation == "PALETTE COLOR":
        values = apply_color_lut(values, data)
        bits = 8 * values.dtype.itemsize
    if values.ndim == 3:
        return (values >> max(0, bits - 8)).astype(np.uint8), None
    values = apply_modality_lut(values, data)
    low, high = _window(data)
    if "VOILUTSequence" in data and "WindowCenter" not in data:
        values = apply_voi_lut(values, data)
        low, high = 0.0, 2.0 ** data.VOILUTSequence[0].LUTDescriptor[2] - 1
    window = (high, low) if data.PhotometricInterpretation == "MONOCHROME1" else (low, high)
    return values.astype(np.float32), window


def _window(data: Any) -> tuple[float, float]:
    """The values that become black and white: of the file's first window, else of its stored bits."""
    if "WindowCenter" in data and "WindowWidth" in data:
        centre, width = (float(_first(data[name].value)) for name in ("WindowCenter", "WindowWidth"))
        if width >= 1 and data.get("VOILUTFunction", "LINEAR") == "LINEAR":  # as the standard defines it
            return centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2
        return centre - width / 2, centre + width / 2
    bits, signed = data.BitsStored, data.PixelRepresentation == 1
    slope, offset = float(data.get("RescaleSlope", 1)), float(data.get("RescaleIntercept", 0))
    ends = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    low, high = sorted(end * slope + offset for end in ends)
    return low, high


def _first(value: Any) -> Any:
    return value if isinstance(value, str | int | float) else value[0]

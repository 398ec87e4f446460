"""HEIC and DICOM, as other people's writers make them."""

import io
from pathlib import Path

import numpy as np
import pillow_heif
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

from gan_models.data.decoding import Target, decode_batch, whole_image
from gan_models.data.preparing.inspection import inspect
from gan_models.data.ranges import Range, Ranges
from gan_models.data.shape import Size
from gan_models.errors import RequestError
from gan_models.recipes.schema import Data

GREY = np.arange(64, dtype=np.uint16).reshape(8, 8) * 60


def dicom(values: np.ndarray, *, bits: int = 12, **tags: object) -> bytes:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    data.Rows, data.Columns = values.shape[:2]
    data.SamplesPerPixel = 3 if values.ndim == 3 else 1
    data.PhotometricInterpretation = "RGB" if values.ndim == 3 else "MONOCHROME2"
    if values.ndim == 3:
        data.PlanarConfiguration = 0
    data.BitsAllocated = 8 * values.dtype.itemsize
    data.BitsStored, data.HighBit = bits, bits - 1
    data.PixelRepresentation = int(values.dtype.kind == "i")
    data.PixelData = values.tobytes()
    for name, value in tags.items():
        setattr(data, name, value)
    written = io.BytesIO()
    pydicom.dcmwrite(written, data, enforce_file_format=True)
    return written.getvalue()


def grey_of(content: bytes, ranges: Ranges | None = None) -> np.ndarray:
    return np.asarray(whole_image(content, ranges or Ranges())).astype(np.int64)


def spread(values: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.rint(np.clip((values - low) / (high - low), 0, 1) * 255)


def test_a_window_says_what_is_black_and_what_white() -> None:
    seen = grey_of(dicom(GREY, WindowCenter=1000, WindowWidth=2001))  # 0 to 1999.5 as the standard has it
    low, high = 1000 - 0.5 - 1000, 1000 - 0.5 + 1000
    assert np.array_equal(seen, spread(GREY, low, high))
    assert (seen.min(), seen.max()) == (0, 255)


def test_without_a_window_its_bits_do_and_the_first_of_several_windows_counts() -> None:
    assert np.array_equal(grey_of(dicom(GREY)), spread(GREY, 0, 4095))
    several = grey_of(dicom(GREY, WindowCenter=[1000, 50], WindowWidth=[2001, 400]))
    assert np.array_equal(several, grey_of(dicom(GREY, WindowCenter=1000, WindowWidth=2001)))


def test_stored_values_become_those_that_are_meant() -> None:
    """Hounsfield units: stored from 0 on, meant from -1024 on."""
    tags = {"RescaleSlope": 1, "RescaleIntercept": -1024, "WindowCenter": 40, "WindowWidth": 401}
    seen = grey_of(dicom(GREY, **tags))
    assert np.array_equal(seen, spread(GREY - 1024.0, -160.5, 239.5))
    signed = grey_of(dicom(GREY.astype(np.int16) - 1024, bits=16, WindowCenter=40, WindowWidth=401))
    assert np.array_equal(signed, seen)
    asked = Range(-1000, 1000, cut=True)  # data.range=[-1000, 1000] is of the values that are meant
    assert np.array_equal(grey_of(dicom(GREY, **tags), Ranges(asked, asked, asked)), spread(GREY - 1024.0, -1000, 1000))


def test_where_the_least_is_white_it_is_turned_round() -> None:
    negative = grey_of(dicom(GREY, PhotometricInterpretation="MONOCHROME1"))
    assert np.array_equal(negative, np.rint(255 - GREY / 4095 * 255))


def test_a_window_that_is_asked_for_is_one_of_the_values_that_are_meant() -> None:
    tags = {"RescaleSlope": 1, "RescaleIntercept": -1024, "WindowCenter": 40, "WindowWidth": 401}
    lung = Range(-1000, 200, cut=True)
    assert np.array_equal(grey_of(dicom(GREY, **tags), Ranges(floats=lung)), spread(GREY - 1024.0, -1000, 200))
    negative = grey_of(dicom(GREY, PhotometricInterpretation="MONOCHROME1", **tags), Ranges(floats=lung))
    assert np.array_equal(negative, spread(GREY - 1024.0, 200, -1000))


def test_scans_keep_16_bits_where_asked() -> None:
    content = dicom(GREY, WindowCenter=1000, WindowWidth=2001)
    decoded = decode_batch([content], Target(Size(8, 8), 1, depth=16))
    seen = np.frombuffer(decoded.pixels, "<u2").reshape(8, 8)
    exact = np.clip((GREY + 0.5) / 2000, 0, 1) * 65535
    assert np.abs(seen - exact).max() < 0.51


def test_in_eight_bits_the_window_holds_too(tmp_path: Path) -> None:
    """Dim scans are not taken for such of fewer bits: their windows say what is white."""
    content = dicom(GREY, WindowCenter=4000, WindowWidth=8001)
    low, high = 4000 - 0.5 - 4000, 4000 - 0.5 + 4000
    expected = np.rint(np.clip((GREY - low) / (high - low), 0, 1) * 255)
    assert np.array_equal(np.asarray(whole_image(content)), expected)
    (tmp_path / "a.dcm").write_bytes(content)
    seen = inspect(f"folder:{tmp_path}")
    assert not any("no telling" in problem for problem in seen.problems)


def test_colours_and_their_pixels_stay() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    assert np.array_equal(np.asarray(whole_image(dicom(pixels, bits=8))), pixels)


def test_what_is_damaged_or_no_image_is_a_reason() -> None:
    whole = dicom(GREY)
    reasons = dict(decode_batch([whole[:-20], dicom(GREY, PixelData=b""), whole], Target(Size(8, 8), 1)).reasons)
    assert sorted(reasons) == [0, 1]
    assert all(reason.startswith("damaged: ") for reason in reasons.values())


def test_heic_is_read_upright(tmp_path: Path) -> None:
    left = np.zeros((32, 48, 3), np.uint8)
    left[:, :24] = 255
    turned = Image.Exif()
    turned[0x0112] = 6  # to be turned a quarter to the right
    image = pillow_heif.from_pillow(Image.fromarray(left))
    image.save(tmp_path / "a.heic", quality=-1, chroma=444, exif=turned.tobytes())
    seen = np.asarray(whole_image(str(tmp_path / "a.heic")))
    assert seen.shape == (48, 32, 3)
    assert seen[:20].mean() > 250
    assert seen[28:].mean() < 5
    assert np.array_equal(np.asarray(whole_image((tmp_path / "a.heic").read_bytes())), seen)


@pytest.mark.parametrize(
    ("name", "package", "extra"), [("a.heic", "pillow-heif", "heic"), ("a.dcm", "pydicom", "dicom")]
)
def test_an_absent_package_is_named_before_anything_is_imported(
    name: str, package: str, extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if extra == "heic":
        pillow_heif.from_pillow(Image.new("RGB", (16, 16))).save(tmp_path / name)
    else:
        (tmp_path / name).write_bytes(dicom(GREY))
    seen = inspect(f"folder:{tmp_path}")
    assert seen.images == 1
    assert any("1 of 1 images looked at are DICOM" in note for note in seen.notes) == (extra == "dicom")
    monkeypatch.setattr("gan_models.data.formats.find_spec", lambda module: None)
    with pytest.raises(
        RequestError, match=rf"package {package}, which is not installed: pip install gan-pipeline\[{extra}\]"
    ):
        inspect(f"folder:{tmp_path}")


def test_what_a_scan_says_of_itself_is_noted_unless_another_range_is_asked_for(tmp_path: Path) -> None:
    tags = {"RescaleIntercept": -1024, "RescaleSlope": 1, "WindowCenter": 40, "WindowWidth": 401}
    (tmp_path / "a.dcm").write_bytes(dicom(GREY, **tags))
    seen = inspect(f"folder:{tmp_path}")
    assert seen.range.found == (-1024, 63 * 60 - 1024)
    assert seen.range.used == (-160.5, 239.5)
    assert any("DICOM: their own windows" in note for note in seen.notes)
    assert not any("no telling" in problem for problem in seen.problems)
    asked = inspect(f"folder:{tmp_path}", Data(range=(-1000, 1000)))
    assert asked.range.used == (-1000, 1000)
    assert not any("DICOM" in note for note in asked.notes)

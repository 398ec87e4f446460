"""Any image becomes square uint8 pixels, or a reason."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gan_models.data.decoding import (
    FILTERS,
    BadImageError,
    Target,
    decode_batch,
    in_eight_bits,
    open_image,
    to_size,
)
from gan_models.data.shape import Size

GREY, COLOUR = Target(Size.square(8), 1), Target(Size.square(8), 3)
RED = (255, 0, 0)


def encoded(image: Image.Image, format: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def pixels_of(item: Any, target: Target) -> np.ndarray:
    """Decoded pixels [H, W, channels] of one image that must be usable."""
    decoded = decode_batch([item], target)
    assert decoded.reasons == []
    return np.frombuffer(decoded.pixels, np.uint8).reshape(*target.size, target.channels)


def reason_for(item: Any, target: Target = GREY) -> str:
    decoded = decode_batch([item], target)
    assert decoded.kept == []
    assert decoded.pixels == b""
    return decoded.reasons[0][1]


@pytest.mark.parametrize(
    ("image", "format", "colour"),
    [
        (Image.new("1", (8, 8), 1), "PNG", (255, 255, 255)),
        (Image.new("L", (8, 8), 77), "PNG", (77, 77, 77)),
        (Image.new("LA", (8, 8), (77, 255)), "PNG", (77, 77, 77)),
        (Image.new("LA", (8, 8), (0, 0)), "PNG", (255, 255, 255)),
        (Image.new("RGB", (8, 8), RED), "PNG", RED),
        (Image.new("RGBA", (8, 8), (*RED, 255)), "PNG", RED),
        (Image.new("RGBA", (8, 8), (*RED, 0)), "PNG", (255, 255, 255)),
        (Image.new("RGBA", (8, 8), (0, 0, 0, 128)), "PNG", (127, 127, 127)),
        (Image.new("RGB", (8, 8), RED).convert("P"), "PNG", RED),
        (Image.new("RGB", (8, 8), RED).convert("P"), "GIF", RED),
        (Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "TIFF", RED),
        (Image.new("I;16", (8, 8), 65535), "PNG", (255, 255, 255)),
        (Image.new("I;16", (8, 8), 128 * 257), "PNG", (128, 128, 128)),
        (Image.new("I;16B", (8, 8), 32896), "TIFF", (128, 128, 128)),
        (Image.new("I", (8, 8), 65535), "TIFF", (255, 255, 255)),
        (Image.new("F", (8, 8), 1.0), "TIFF", (255, 255, 255)),
        (Image.new("F", (8, 8), 128.0), "TIFF", (128, 128, 128)),
        (Image.new("LAB", (8, 8), (255, 128, 128)), "TIFF", (255, 255, 255)),
        (Image.new("YCbCr", (8, 8), (77, 128, 128)), "JPEG", (77, 77, 77)),
        (Image.new("RGB", (8, 8), (10, 200, 30)), "WEBP", (10, 200, 30)),
        (Image.new("RGB", (8, 8), (10, 200, 30)), "BMP", (10, 200, 30)),
    ],
)
def test_every_mode_becomes_the_colour_that_is_seen(image: Image.Image, format: str, colour: tuple[int, ...]) -> None:
    options = {"lossless": True} if format == "WEBP" else {}
    seen = pixels_of(encoded(image, format, **options), COLOUR)
    assert np.abs(seen.astype(int) - colour).max() <= 1


def test_transparent_colour_of_a_palette_is_white() -> None:
    image = Image.new("P", (8, 8), 3)
    image.putpalette([0, 0, 0] * 3 + [200, 10, 10])
    assert (pixels_of(encoded(image, transparency=3), COLOUR) == 255).all()
    assert (pixels_of(encoded(image), COLOUR) == (200, 10, 10)).all()


def test_transparent_colour_of_an_rgb_image_is_white() -> None:
    assert (pixels_of(encoded(Image.new("RGB", (8, 8), RED), transparency=RED), COLOUR) == 255).all()


def test_sixteen_bits_keep_their_order() -> None:
    ramp = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    seen = pixels_of(encoded(Image.fromarray(ramp)), GREY)[..., 0]
    assert np.array_equal(seen, np.rint(ramp / 257).astype(np.uint8))


@pytest.mark.parametrize("values", [(-1.0, 1.0), (0.0, 300.0), (float("nan"), 1.0)])
def test_values_without_a_known_white_are_refused(values: tuple[float, float]) -> None:
    image = Image.fromarray(np.resize(np.array(values, np.float32), (8, 8)))
    assert "32-bit values" in reason_for(encoded(image, "TIFF"))


def test_exif_orientation_is_applied() -> None:
    image = Image.new("L", (16, 16), 0)
    image.paste(255, (0, 0, 16, 8))  # white above
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it a quarter clockwise
    for format in ("JPEG", "PNG", "WEBP"):
        seen = pixels_of(encoded(image, format, exif=exif), GREY)[..., 0]
        assert seen[:, 5:].min() > 200
        assert seen[:, :3].max() < 50


def test_damaged_exif_does_not_lose_the_image() -> None:
    data = encoded(Image.new("L", (8, 8), 9), "JPEG", exif=b"Exif\0\0nonsense" + bytes(40))
    assert pixels_of(data, GREY).shape == (8, 8, 1)


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP"])
def test_animations_show_their_first_frame(format: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, (0, 255, 0), (0, 0, 255))]
    data = encoded(
        frames[0], format, save_all=True, append_images=frames[1:], **({"lossless": True} if format == "WEBP" else {})
    )
    assert (pixels_of(data, COLOUR) == RED).all()


def test_one_pixel_fills_the_square() -> None:
    assert (pixels_of(encoded(Image.new("RGB", (1, 1), RED)), COLOUR) == RED).all()


def test_path_and_bytes_give_the_same(tmp_path: Path) -> None:
    data = encoded(Image.effect_noise((20, 30), 50))
    (tmp_path / "a.png").write_bytes(data)
    assert np.array_equal(pixels_of(data, GREY), pixels_of(str(tmp_path / "a.png"), GREY))


def test_centre_is_cut_out_or_all_is_kept_on_black() -> None:
    image = Image.new("L", (24, 8), 100)
    image.paste(200, (8, 0, 16, 8))  # the centre square
    assert (pixels_of(encoded(image), GREY) == 200).all()
    padded = pixels_of(encoded(image), Target(Size.square(24), 1, "nearest", "pad"))[..., 0]
    assert np.array_equal(padded[8:16], np.asarray(image))
    assert padded[:8].max() == padded[16:].max() == 0


def test_extreme_shapes_survive_padding() -> None:
    assert pixels_of(encoded(Image.new("L", (1000, 1), 255)), Target(Size.square(8), 1, fit="pad")).max() == 255


@pytest.mark.parametrize("resize", sorted(FILTERS))
def test_filters_are_pillows(resize: str) -> None:
    image = Image.effect_noise((20, 20), 50)
    expected = np.asarray(image.resize((8, 8), FILTERS[resize]))
    assert np.array_equal(pixels_of(encoded(image), Target(Size.square(8), 1, resize))[..., 0], expected)


def test_cheap_shrinking_of_large_photographs_is_not_seen() -> None:
    ramp = np.add.outer(np.arange(800), np.arange(1200)) % 640 * 255 // 640
    photograph = Image.fromarray(ramp.astype(np.uint8)).convert("RGB")
    data = encoded(photograph, "JPEG", quality=95)
    cheap = pixels_of(data, Target(Size.square(32), 3)).astype(int)
    full = Image.open(io.BytesIO(data)).resize((32, 32), FILTERS["bicubic"], box=(200, 0, 1000, 800))
    assert np.abs(cheap - np.asarray(full)).mean() < 1.5


def test_colours_lost_to_grey_are_counted() -> None:
    items = [encoded(Image.new(mode, (8, 8))) for mode in ("L", "RGB", "RGBA", "1", "LA")]
    grey_palette = Image.new("L", (8, 8), 9).convert("P")
    assert decode_batch([*items, encoded(grey_palette)], GREY).coloured == 2
    assert decode_batch(items, COLOUR).coloured == 0


def test_truncated_file() -> None:
    for format in ("PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP"):
        data = encoded(Image.effect_noise((64, 64), 50).convert("RGB"), format)
        assert reason_for(data[: len(data) // 2])


def test_reasons_say_what_is_wrong(tmp_path: Path) -> None:
    assert reason_for(b"") == "the file is empty"
    assert reason_for(b"hello, I am a text") == "not an image of a known format"
    assert reason_for(str(tmp_path / "gone.png")).startswith("the file is gone")
    data = encoded(Image.effect_noise((64, 64), 50), "JPEG")
    assert "truncated" in reason_for(data[: len(data) // 2])
    assert reason_for(BadImageError("no bytes")) == "no bytes"


def test_reasons_are_the_same_on_every_run() -> None:
    data = encoded(Image.effect_noise((64, 64), 50))
    damaged = [data[:40], data[:100], data[:60] + b"\0" * 9 + data[69:], b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"]
    assert decode_batch(damaged, GREY).reasons == decode_batch(damaged, GREY).reasons
    assert all(" 0x" not in reason for _, reason in decode_batch(damaged, GREY).reasons)


def test_postscript_is_never_run() -> None:
    program = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n"
    assert reason_for(program) == "not an image of a known format"


def bomb(width: int, height: int) -> bytes:
    """A valid PNG of a few bytes that claims to hold width x height pixels."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_bombs_are_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    limit = Image.MAX_IMAGE_PIXELS
    assert limit is not None
    assert reason_for(bomb(20000, 20000)) == f"too large: 20000x20000 pixels, the limit is {limit}"
    assert "too large" in reason_for(bomb(2**31 - 1, 2**31 - 1))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 64)
    assert pixels_of(encoded(Image.new("L", (8, 8))), GREY).shape == (8, 8, 1)
    for format in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"):
        assert "too large" in reason_for(encoded(Image.new("RGB", (20, 20)), format))


def test_bad_images_leave_the_others_alone() -> None:
    good = [encoded(Image.effect_noise((9, 9), 50)) for _ in range(3)]
    decoded = decode_batch([good[0], b"", good[1], b"x", good[2]], GREY)
    assert decoded.kept == [0, 2, 4]
    assert [position for position, _ in decoded.reasons] == [1, 3]
    assert len(decoded.pixels) == 3 * 64
    assert len(decoded.digests) == 3 * 8


@settings(max_examples=60, deadline=None)
@given(
    mode=st.sampled_from(
        ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "LAB", "I", "La", "RGBa", "I;16"]
    ),
    width=st.integers(1, 40),
    height=st.integers(1, 40),
    size=st.builds(Size, st.integers(8, 24), st.integers(8, 24)),
    channels=st.sampled_from([1, 3]),
    resize=st.sampled_from(sorted(FILTERS)),
    fit=st.sampled_from(["crop", "pad"]),
)
def test_any_mode_and_size_fits_the_target(
    mode: str, width: int, height: int, size: Size, channels: int, resize: str, fit: str
) -> None:
    seen = pixels_of(Image.new(mode, (width, height)), Target(size, channels, resize, fit))
    assert seen.shape == (*size, channels)


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damage_never_escapes(data: st.DataObject) -> None:
    """However a file is damaged, the outcome is an image or a reason."""
    original = FILES[data.draw(st.sampled_from(sorted(FILES)))]
    position = data.draw(st.integers(0, len(original) - 1))
    damaged = (
        original[:position] + data.draw(st.binary(max_size=12)) + original[position + data.draw(st.integers(0, 30)) :]
    )
    decoded = decode_batch([damaged], COLOUR)
    assert len(decoded.kept) + len(decoded.reasons) == 1


FILES = {
    format: encoded(Image.effect_noise((16, 16), 50).convert("RGB"), format)
    for format in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "ICO", "TGA", "PPM")
}


def test_oblong_images_of_the_target_form_keep_every_pixel() -> None:
    rng = np.random.default_rng(0)
    exact = rng.integers(0, 256, (32, 64, 3), dtype=np.uint8)
    target = Target(Size(32, 64), 3)
    assert np.array_equal(pixels_of(encoded(Image.fromarray(exact)), target), exact)
    large = Image.fromarray(rng.integers(0, 256, (64, 128, 3), dtype=np.uint8))
    expected = np.asarray(large.resize((64, 32), Image.Resampling.BICUBIC))
    assert np.array_equal(pixels_of(encoded(large), target), expected)


def test_of_another_form_the_largest_part_in_the_centre_is_taken_or_all_is_kept_on_black() -> None:
    columns = np.arange(100, dtype=np.uint8)[None].repeat(20, 0)
    target = Target(Size(10, 20), 1, "nearest")
    expected = np.asarray(Image.fromarray(columns[:, 30:70]).resize((20, 10), Image.Resampling.NEAREST))
    assert np.array_equal(pixels_of(encoded(Image.fromarray(columns)), target)[..., 0], expected)
    padded = pixels_of(encoded(Image.fromarray(columns + 1)), Target(Size(10, 20), 1, "nearest", "pad"))[..., 0]
    assert (padded[3:7] > 0).all()
    assert not padded[[0, 1, 2, 7, 8, 9]].any()


def test_square_images_of_the_right_size_are_not_resampled() -> None:
    image = Image.effect_noise((8, 8), 50)
    assert to_size(image, Size.square(8), "bicubic", "crop") is image
    assert in_eight_bits(image) is image


def test_opening_reads_the_header_only() -> None:
    data = encoded(Image.effect_noise((64, 64), 50))
    assert open_image(data[:60]).size == (64, 64)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "La", "RGBa", "I;16", "I", "F"])
def test_a_large_image_is_changed_in_strips_and_the_same(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (37, 23, 4), np.uint8)
    if mode in ("I;16", "I", "F"):
        deep = noise[..., 0].astype({"I;16": np.uint16, "I": np.int32, "F": np.float32}[mode])
        image = Image.fromarray(deep / 255 if mode == "F" else deep * 257)
    else:
        image = Image.fromarray(noise, "RGBA").convert({"La": "LA", "RGBa": "RGBA", "PA": "LA"}.get(mode, mode))
        image = image.convert(mode)
    assert image.mode == mode
    whole = in_eight_bits(image).tobytes()
    monkeypatch.setattr("gan_models.data.decoding.STRIP_PIXELS", 100)
    assert in_eight_bits(image).tobytes() == whole


def test_a_float_that_is_no_number_is_found_in_any_strip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gan_models.data.decoding.STRIP_PIXELS", 8)
    for row in range(4):
        values = np.full((4, 8), 0.5, np.float32)
        values[row, 3] = np.nan
        with pytest.raises(BadImageError, match="nan"):
            in_eight_bits(Image.fromarray(values))

"""Frames written as a GIF (Pillow) or an MP4 (PyAV), whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from gan_models.atomic import new_file
from gan_models.data.decoding import in_eight_bits
from gan_models.errors import RequestError
from gan_models.sampling.grids import Pixels, as_image, enlarged

SUFFIXES = (".gif", ".mp4")
_GIF_TICKS = 100  # a GIF counts a frame's time in hundredths of a second,
_LEAST_TICKS = 2  # and browsers slow down what is shorter than two
_QUALITY = "16"  # x264's constant rate factor: no difference is seen below 18


def check_video(path: Path, fps: int) -> None:
    """RequestError where no video of that name can be written, or not at that rate."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise RequestError(f"--out {path}: a walk is written as GIF or MP4, so the name ends in .gif or .mp4")
    if suffix == ".gif" and (_GIF_TICKS % fps or _GIF_TICKS // fps < _LEAST_TICKS):
        raise RequestError(
            f"--fps {fps}: a frame of a GIF lasts whole hundredths of a second, two at least: take 10, 20, 25 or 50, "
            "or write an .mp4"
        )
    if suffix == ".mp4":
        try:
            import av  # noqa: F401
        except ImportError:
            raise RequestError(
                f"--out {path}: MP4 needs the package av: pip install gan-pipeline[video], or write a .gif"
            ) from None


def save_video(frames: Iterable[Pixels], path: Path, *, fps: int, scale: int = 1) -> None:
    """Writes frames uint8 [H, W, C] (C 1 or 3), enlarged `scale` times without smoothing; a GIF repeats for ever.

    Raises:
        RequestError: as `check_video`.
    """
    check_video(path, fps)
    write = _write_gif if path.suffix.lower() == ".gif" else _write_mp4
    with new_file(path) as temporary:
        write(frames, temporary, fps, scale)


def _write_gif(frames: Iterable[Pixels], path: Path, fps: int, scale: int) -> None:
    images = (enlarged(as_image(pixels), scale) for pixels in frames)
    first = next(images)
    first.save(path, "GIF", save_all=True, append_images=images, duration=1000 // fps, loop=0)


def _write_mp4(frames: Iterable[Pixels], path: Path, fps: int, scale: int) -> None:
    import av

    pictures = (np.asarray(in_eight_bits(enlarged(as_image(pixels), scale)).convert("RGB")) for pixels in frames)
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream = None
        for picture in _even(pictures):
            if stream is None:
                stream = container.add_stream("libx264", rate=fps, options={"crf": _QUALITY})
                stream.height, stream.width = picture.shape[:2]
                stream.pix_fmt = "yuv420p"  # which every player knows
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        if stream is not None:
            container.mux(stream.encode())


def _even(pictures: Iterable[Pixels]) -> Iterator[Pixels]:
    """Of even height and width, as 4:2:0 wants them: an odd one's last row or column is repeated."""
    for picture in pictures:
        height, width = picture.shape[:2]
        yield np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")

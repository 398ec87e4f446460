"""Images written one by one into a folder: however many, in the memory of one part of them, and gone on with later."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from gan_models.atomic import write_json
from gan_models.errors import RequestError
from gan_models.sampling.grids import save_image

if TYPE_CHECKING:
    from gan_models.tasks.base import Part

RECORD_FILE = "drawn.json"  # in the folder: what its images were asked for


class Written(NamedTuple):
    """What a folder holds now of what was asked for."""

    drawn: int
    there: int  # files that were there already
    first: str  # name of the first file
    last: str


def write_each(
    parts: Iterable[Part],
    folder: Path,
    record: Mapping[str, Any],
    *,
    scale: int = 1,
    form: str = "png",
    advance: Callable[[int], object] = lambda images: None,
) -> Written:
    """Writes every image as a file into `folder`, each whole or not at all, and draws only what is not there yet.

    A killed call leaves whole files alone (and at most one hidden temporary one, which the next call clears away).
    Parts of which every file is there are not drawn. A power cut may leave empty files; they count as not there.

    Args:
        record: what was asked for, as JSON has it. Kept in `drawn.json` in the folder.
        scale: how many times images are enlarged, without smoothing.
        form: of the files, `png` or `tiff`.
        advance: told the number of images after each part.

    Raises:
        RequestError: the folder holds images of another request or something else, or another call writes there.
    """
    is_new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        _check_record(folder, {**record, "scale": scale, **({} if form == "png" else {"format": form})})
        for leftover in folder.glob(f".*.{form}.*"):
            leftover.unlink(missing_ok=True)
        drawn, there, first, last = 0, 0, "", ""
        try:
            for part in parts:
                files = [folder / f"{name}.{form}" for name in part.names]
                missing = [place for place, file in enumerate(files) if not _is_there(file)]
                images = part.draw().numpy() if missing else ()
                for place in missing:
                    save_image(images[place], files[place], scale=scale, flush=False, form=form)
                drawn, there = drawn + len(missing), there + len(files) - len(missing)
                first, last = first or files[0].name, files[-1].name
                advance(len(files))
        except RequestError:
            if is_new and not drawn:  # an image given that cannot be read: as if nothing had been asked
                (folder / RECORD_FILE).unlink(missing_ok=True)
                folder.rmdir()
            raise
    return Written(drawn, there, first, last)


def _is_there(file: Path) -> bool:
    try:
        return file.stat().st_size > 0
    except FileNotFoundError:
        return False


def _check_record(folder: Path, record: Mapping[str, Any]) -> None:
    """Writes the record, or compares it with the one that is there."""
    wanted = json.loads(json.dumps(record))
    try:
        found = json.loads((folder / RECORD_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        if any(folder.iterdir()):
            raise RequestError(
                f"--out {folder}: the folder holds something else (no {RECORD_FILE}); name an empty or a new one"
            ) from None
        write_json(folder / RECORD_FILE, wanted)
        return
    except (OSError, ValueError):
        found = None
    if found != wanted:
        about = found if isinstance(found, dict) else {}
        other = next((key for key in wanted if about.get(key) != wanted[key]), "")
        was, now = (json.dumps(each.get(other), ensure_ascii=False) for each in (about, wanted))
        difference = f"{other}: {was[:60]} there, {now[:60]} here" if about and other else "its record is unreadable"
        raise RequestError(
            f"--out {folder}: the folder holds images of another request ({difference}); name another folder, or "
            "remove it"
        )


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """While no other process writes there. The lock is on the folder itself and leaves no file."""
    import fcntl

    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RequestError(f"--out {folder}: another command is writing there; wait for it") from None
        except OSError:
            pass  # a file system without locks
        yield
    finally:
        with suppress(OSError):
            os.close(handle)

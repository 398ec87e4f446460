"""Resumable training state on disk: written atomically, checked when read, never unpickled.

checkpoints/step-00000500/state.pt        tensors and plain values (torch.load with weights_only=True)
checkpoints/step-00000500/manifest.json   SHA-256 of state.pt and the identity of the training it belongs to
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict

from gan_models.atomic import may_write, new_file, new_folder, write_text
from gan_models.errors import RequestError

STATE_FILE = "state.pt"
MANIFEST_FILE = "manifest.json"
STATE_FORMAT = 3
_KEPT = 2


class Identity(BaseModel):
    """What a training is a pure function of. A checkpoint of another identity is never resumed."""

    model_config = ConfigDict(frozen=True)

    recipe_name: str
    recipe_digest: str
    data_fingerprint: str
    seed: int
    start: str = ""  # digest of the weights it began with; empty: random ones
    state_format: int = 1  # of what is saved; a manifest that does not say is of the first


class Manifest(BaseModel):
    """What is known of a checkpoint without its state."""

    identity: Identity
    step: int
    planned: int = 0  # steps that the training was to have; 0 where that was not written down
    sha256: str


class Checkpoints:
    """The newest checkpoints of one training; two are kept, so that a damaged one has a predecessor.

    Args:
        planned: steps that the training is to have.
        only_finite: whether one that holds NaN or infinite values counts as damaged.
    """

    def __init__(self, folder: Path, identity: Identity, planned: int, *, only_finite: bool = True) -> None:
        self.folder = folder
        self.identity = identity
        self.planned = planned
        self.only_finite = only_finite

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Writes a checkpoint under a temporary name, flushes it to the disk, and moves it in place."""
        with new_folder(self.folder / f"step-{step:08d}") as target:
            with new_file(target / STATE_FILE) as file:
                torch.save(state, file)
            digest = _sha256(target / STATE_FILE)
            _write(target, Manifest(identity=self.identity, step=step, planned=self.planned, sha256=digest))
        _flush_folder(self.folder)
        self._remove_old()

    def load_newest(self, note: Callable[[str], None], device: torch.device) -> tuple[int, dict[str, Any]] | None:
        """The step and state of the newest checkpoint that is whole, None where there is none.

        Damaged ones are passed over, with a sentence to `note`.

        Raises:
            RequestError: the folder holds the checkpoints of another training.
        """
        for path in sorted(self.folder.glob("step-*"), reverse=True):
            manifest = _manifest_of_whole(path)
            if manifest is None:
                note(f"checkpoint {path} is damaged: going back to the one before it")
                continue
            self._check_identity(path, manifest.identity)
            state = torch.load(path / STATE_FILE, map_location=device, weights_only=True)
            if self.only_finite and (place := not_finite(state)):
                note(f"checkpoint {path} holds values that are not finite ({place}): going back to the one before it")
                continue
            return manifest.step, state
        return None

    def _check_identity(self, path: Path, found: Identity) -> None:
        if found == self.identity:
            return
        expected = self.identity
        differing = [name for name in Identity.model_fields if getattr(found, name) != getattr(expected, name)]
        details = ", ".join(f"{name} {getattr(found, name)} instead of {getattr(expected, name)}" for name in differing)
        raise RequestError(
            f"checkpoint {path} belongs to another training ({details}): use another work directory, or remove "
            f"{self.folder} to start anew"
        )

    def _remove_old(self) -> None:
        may_write()
        for path in sorted(self.folder.glob("step-*"), reverse=True)[_KEPT:]:
            shutil.rmtree(path, ignore_errors=True)
        for leftover in self.folder.glob(".step-*"):  # of a process that was killed while it wrote
            shutil.rmtree(leftover, ignore_errors=True)


def newest_checkpoint(folder: Path) -> Manifest | None:
    """The manifest of the newest checkpoint that is whole; None where there is none."""
    found = (_manifest_of_whole(path) for path in sorted(folder.glob("step-*"), reverse=True))
    return next((manifest for manifest in found if manifest is not None), None)


def take_over(
    source: Path, folder: Path, identity: Mapping[str, str], planned: int, copy: Callable[[str, str], object]
) -> None:
    """Copies the newest whole checkpoint of another training, for one whose identity differs in what is given."""
    newest = newest_checkpoint(source)
    assert newest is not None
    name = f"step-{newest.step:08d}"
    with new_folder(folder / name) as target:
        copy(str(source / name / STATE_FILE), str(target / STATE_FILE))
        ours = newest.identity.model_copy(update=dict(identity))
        _write(target, newest.model_copy(update={"identity": ours, "planned": planned}))


def _write(folder: Path, manifest: Manifest) -> None:
    write_text(folder / MANIFEST_FILE, manifest.model_dump_json(indent=2) + "\n")


def not_finite(state: Mapping[str, Any]) -> str:
    """Where the first tensor with NaN or an infinite value lies, as in `game/G/0.weight`; "" where there is none."""
    tensors = [(place, tensor) for place, tensor in _tensors(state, "") if tensor.is_floating_point()]
    flags: dict[torch.device, list[torch.Tensor]] = {}
    for _, tensor in tensors:
        flags.setdefault(tensor.device, []).append(tensor.isfinite().all())
    if all(bool(torch.stack(each).all()) for each in flags.values()):  # a device is waited for once
        return ""
    return next(place for place, tensor in tensors if not tensor.isfinite().all())


def _tensors(value: Any, place: str) -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(value, torch.Tensor):
        yield place, value
    elif isinstance(value, Mapping):
        for name, inside in value.items():
            yield from _tensors(inside, f"{place}/{name}".removeprefix("/"))
    elif isinstance(value, list | tuple):
        for number, inside in enumerate(value):
            yield from _tensors(inside, f"{place}/{number}")


def _manifest_of_whole(path: Path) -> Manifest | None:
    """The manifest of a checkpoint; None where that or the state is damaged."""
    try:
        manifest = Manifest.model_validate_json((path / MANIFEST_FILE).read_bytes())
        return manifest if _sha256(path / STATE_FILE) == manifest.sha256 else None
    except (OSError, ValueError):
        return None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

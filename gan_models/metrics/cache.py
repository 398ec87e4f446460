"""Files that are costly to make and the same for every run: kept in one folder, made by one process at a time.

A cache that cannot be written is no reason to fail: then what was made is used and forgotten.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from filelock import FileLock
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from gan_models.atomic import new_file

_KEY = "key"  # where a file says what it was made from

logger = logging.getLogger(__name__)

Tensors = dict[str, Tensor]


def cached_tensors(folder: Path, key: Mapping[str, Any], make: Callable[[], Tensors]) -> Tensors:
    """What `make` returned for this `key` (JSON values), from `folder` when it is there; made once, however many ask.

    The key is written into the file and compared when it is read, so neither a damaged file nor one of another key is
    ever used.
    """
    text = json.dumps(key, sort_keys=True)
    path = folder / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.safetensors"
    if (found := _read(path, text)) is not None:
        return found
    with _only_one(path):
        if (found := _read(path, text)) is not None:
            return found  # another process made it meanwhile
        made = make()
        _write(path, text, made)
        return made


def _only_one(path: Path) -> AbstractContextManager[object]:
    """Holds the lock of a cache file, or nothing where no lock can be had."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(f"{path}.lock").acquire()
    except OSError as error:
        logger.warning("nothing is cached in %s: %s", path.parent, error)
        return nullcontext()


def _read(path: Path, text: str) -> Tensors | None:
    try:
        with safe_open(path, framework="pt") as file:
            if (file.metadata() or {}).get(_KEY) != text:
                return None
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (OSError, SafetensorError):
        return None


def _write(path: Path, text: str, tensors: Tensors) -> None:
    try:
        with new_file(path) as partial:
            save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, partial, metadata={_KEY: text})
    except (OSError, SafetensorError) as error:
        logger.warning("%s is not cached: %s", path, error)

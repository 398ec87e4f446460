"""How much memory there is for a data set."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    import torch

SHARE = 0.5
"""Of the memory that may be filled with images; networks, batches and everybody else need the rest."""
_GROUPS = Path("/sys/fs/cgroup")
_OWN_GROUP = Path("/proc/self/cgroup")


def room_for_data(device: torch.device) -> int:
    """Bytes of images that a process may keep: a share of a GPU's memory, or of the machine's.

    The machine's memory is bounded by the control groups that this process is in, and shared by the processes of a
    training that run on it.
    """
    if device.type == "cuda":
        import torch

        return int(SHARE * torch.cuda.mem_get_info(device)[0])
    return int(SHARE * memory_limit()) // local_processes()


def local_processes() -> int:
    """Processes of a training on this machine, as torchrun says."""
    return max(1, int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def memory_limit() -> int:
    """Bytes that this machine has, or that this process's control groups allow."""
    return min([psutil.virtual_memory().total, *_limits()])


def _limits() -> list[int]:
    """Of the process's control group and those around it, of either version; of the root where a container is one."""
    groups = [(_GROUPS, "memory.max"), (_GROUPS / "memory", "memory.limit_in_bytes")]
    with suppress(OSError):
        for line in _OWN_GROUP.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers in ("", "memory"):
                base, file = groups[controllers == "memory"]
                own = base / path.strip("/")
                groups += [(place, file) for place in (own, *own.parents) if place.is_relative_to(base)]
    limits = []
    for place, file in groups:
        with suppress(OSError, ValueError):  # "max" is no number
            limits.append(int((place / file).read_text()))
    return limits

"""From a folder to a generator to draw from."""

from __future__ import annotations

from pathlib import Path

import torch

from gan_models.errors import RequestError, home_path
from gan_models.sampling.generator import LoadedGenerator, load_generator
from gan_models.sampling.locating import generator_folder


def load(path: str | Path, *, device: str | torch.device = "auto") -> LoadedGenerator:
    """A trained generator, ready for `.sample(16)`. Nothing is unpickled.

    Args:
        path: a generator folder; the work directory of a `gan-pipeline run`; the folder of a training
            (`gm.train(...).folder`), whose last generator is taken, or one that holds a single training.
        device: `auto` is the GPU where there is one.

    Raises:
        RequestError: there is none, it is damaged, or there is no such device.
    """
    folder = home_path(path)
    if not folder.is_dir():
        raise RequestError(f"there is no folder {folder}: name a generator folder, a work directory or a training")
    return load_generator(generator_folder(folder), chosen_device(device))


def chosen_device(device: str | torch.device) -> torch.device:
    """What `auto` stands for, or the device of a name; RequestError where there is none."""
    if str(device) == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError) as error:
        reason = (str(error).splitlines() or [""])[0]
        raise RequestError(f"device {str(device)!r}: {reason}; use auto, cpu or cuda") from None
    return chosen

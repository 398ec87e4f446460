"""What a run was made with, so that it can be made again: versions, threads, device, revision of the source."""

import os
import platform
import subprocess
import sys
from functools import cache
from importlib import metadata
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
GIT_SECONDS = 5.0
PACKAGES = ("gan-pipeline", "torch", "torchvision", "mlflow", "kfp", "numpy")


def environment() -> dict[str, str]:
    """Flat names and values; imports nothing that is not imported yet.

    Threads and device are those of torch where the process has imported it, else what the variables ask for.
    """
    found = {
        "environment.python": platform.python_version(),
        "environment.platform": platform.platform(),
        "environment.cpus": str(os.cpu_count() or 1),
        **{f"environment.{name}": version for name in PACKAGES if (version := package_version(name))},
        **git_state(),
    }
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "get_num_threads"):
        found["environment.threads"] = str(torch.get_num_threads())
        cuda = torch.cuda.is_available()
        found["environment.device"] = torch.cuda.get_device_name() if cuda else platform.machine() or "cpu"
    elif threads := os.environ.get("OMP_NUM_THREADS"):
        found["environment.threads"] = threads
    return found


@cache
def package_version(name: str) -> str:
    """The installed version, "" when it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


@cache
def git_state(folder: Path = SOURCE) -> dict[str, str]:
    """Revision and whether files differ from it, of a checkout that the code runs from.

    An installed package has no checkout: the variable GAN_PIPELINE_REVISION, set in container images, stands in.
    """
    revision = _git(folder, "rev-parse", "HEAD") if (folder / ".git").exists() else ""
    if not revision:
        given = os.environ.get("GAN_PIPELINE_REVISION", "")
        return {"git.revision": given} if given else {}
    dirty = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return {"git.revision": revision, "git.dirty": "true" if dirty else "false"}


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=GIT_SECONDS, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""

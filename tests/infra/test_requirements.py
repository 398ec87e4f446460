"""What goes into which image: the lists follow from what the packages say that they need."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPO = Path(__file__).parents[2]
TORCH = {"torch", "torchvision", "torch-fidelity"}
# triton compiles kernels, which nothing here asks for; torch names setuptools for the same end.
LEFT_OUT = {"triton", "setuptools"}
# Where a pipeline runs, whatever it may be given can be read.
IN_IMAGES = ("server", "dicom", "hdf5", "heic", "hub", "lmdb", "remote")


def listed(file: str) -> set[str]:
    """The names in requirements.lock that a list of patterns takes."""
    patterns = (REPO / "infra/images" / file).read_text().split()
    lines = (REPO / "requirements.lock").read_text().splitlines()
    unused = [pattern for pattern in patterns if not any(re.search(pattern, line) for line in lines)]
    assert not unused, f"{file}: {unused} takes nothing"
    return {name(line) for line in lines if any(re.search(pattern, line) for pattern in patterns)}


def name(line: str) -> str:
    return canonicalize_name(line.partition("==")[0])


def closure(roots: list[str]) -> set[str]:
    """The distributions that these requirements bring, as far as they are installed."""
    found: set[str] = set()
    seen: set[str] = set()
    waiting = [Requirement(root) for root in roots]
    while waiting:
        wanted = waiting.pop()
        if str(wanted) in seen:
            continue
        seen.add(str(wanted))
        try:
            needs = metadata.requires(wanted.name) or []
        except metadata.PackageNotFoundError:
            continue
        found.add(canonicalize_name(wanted.name))
        for need in map(Requirement, needs):
            extras = {"", *wanted.extras}
            if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in extras):
                need.marker = None
                waiting.append(need)
    return found


def test_the_lists_are_what_the_dependencies_say() -> None:
    project = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    needed = [*project["dependencies"], *(each for extra in IN_IMAGES for each in extras[extra])]
    lock = {name(line) for line in (REPO / "requirements.lock").read_text().splitlines() if "==" in line}
    everything = closure([*needed, *extras["efficientnet"]]) & lock
    without_torch = closure([each for each in needed if Requirement(each).name not in TORCH]) & lock
    assert listed("development.txt") == (lock - everything) | LEFT_OUT
    assert listed("torch.txt") == everything - without_torch - LEFT_OUT


def test_every_package_is_pinned_by_the_digests_of_its_files() -> None:
    joined = (REPO / "requirements.lock").read_text().replace("\\\n", "").splitlines()
    for line in (each for each in joined if not each.startswith("#")):
        assert re.match(r"[a-z0-9.-]+==\S+( ; .+?)?(\s+--hash=sha256:[0-9a-f]{64})+$", line), line


def test_what_is_installed_fits_together() -> None:
    """What `pip check` looks at, of the versions in requirements.lock."""
    done = subprocess.run([sys.executable, "-m", "pip", "check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout

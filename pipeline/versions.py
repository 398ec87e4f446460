"""What version of the project ran: the package's version and a digest of all that decides results.

That is the source, and the names and versions of the packages that add to it. The digest is part of every cache key, so
changed code never gets yesterday's results back, whether the package is installed from a wheel or edited in place.
"""

import hashlib
import json
import subprocess
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from components.stage.environment import package_version as installed_version
from gan_models.plugins import installed

_PROJECT = Path(__file__).resolve().parent.parent
# The command line and the engines move results about but do not change them.
_SOURCES = ("gan_models", "components", "pipeline/definitions")
_SUFFIXES = {".py", ".yaml"}


def package_version() -> str:
    """The installed distribution's version, or `unknown` when the source is used without installing it."""
    return installed_version("gan-pipeline") or "unknown"


@cache
def code_version() -> str:
    """Package version and 12 hex digits of a SHA-256 over source and plug-ins, such as `0.1.0+3f2a9c71d0be`."""
    digest = hashlib.sha256()
    files = (path for name in _SOURCES for path in (_PROJECT / name).rglob("*"))
    for path in sorted(path for path in files if path.suffix in _SUFFIXES and path.is_file()):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(_PROJECT).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    for package in installed():
        digest.update(f"{package}\0".encode())
    return f"{package_version()}+{digest.hexdigest()[:12]}"


def commit() -> str:
    """The commit of git that the source is of, 12 hex digits; "" where that is not known.

    Of a checkout that is used in place, git is asked; of an installation from a repository, pip wrote it down.
    """
    if (_PROJECT / ".git").exists():
        command = ["git", "-C", str(_PROJECT), "rev-parse", "--short=12", "HEAD"]
        with suppress(OSError):
            return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
        return ""
    with suppress(PackageNotFoundError, ValueError, KeyError, TypeError):
        origin = json.loads(distribution("gan-pipeline").read_text("direct_url.json") or "{}")  # PEP 610
        return str(origin["vcs_info"]["commit_id"])[:12]
    return ""


def version_line() -> str:
    """Version, commit and plug-ins, as in `0.1.0+3f2a9c71d0be (commit 4be1c09d2f3a) (with my-losses==1.2)`."""
    of = f" (commit {known})" if (known := commit()) else ""
    return f"{code_version()}{of}" + (f" (with {', '.join(installed())})" if installed() else "")

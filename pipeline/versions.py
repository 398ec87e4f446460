"""What version of the project ran: the package's version and a digest of all that decides results.

That is the source, and the names and versions of the packages that add to it. The digest is part of every cache key, so
changed code never gets yesterday's results back, whether the package is installed from a wheel or edited in place.
"""

import hashlib
from functools import cache
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


def version_line() -> str:
    """The version and the plug-ins behind it, such as `0.1.0+3f2a9c71d0be (with my-losses==1.2)`."""
    return f"{code_version()} (with {', '.join(installed())})" if installed() else code_version()

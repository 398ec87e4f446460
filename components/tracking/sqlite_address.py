"""Addresses of SQLite databases, as SQLAlchemy reads them from 2.1 on: a path with its special characters quoted."""

from pathlib import Path
from urllib.parse import unquote

from gan_models.errors import home_path

SQLITE = "sqlite:///"
_SPECIAL = {character: f"%{ord(character):02X}" for character in "%?#"}  # the percent sign first


def sqlite_uri(path: Path) -> str:
    """The absolute address of a SQLite file.

    >>> sqlite_uri(Path("/data/mlflow.db"))
    'sqlite:////data/mlflow.db'
    >>> sqlite_uri(Path("/data/50% off/mlflow.db"))
    'sqlite:////data/50%25 off/mlflow.db'
    """
    text = str(home_path(path).resolve())
    for character, quoted in _SPECIAL.items():
        text = text.replace(character, quoted)
    return SQLITE + text


def sqlite_path(uri: str) -> Path | None:
    """The file behind a sqlite address; None for every other address."""
    return Path(unquote(uri.removeprefix(SQLITE).split("?")[0])) if uri.startswith(SQLITE) else None

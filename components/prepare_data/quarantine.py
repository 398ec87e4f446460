"""`quarantine.csv`: path and reason of every file that is not in the table."""

from __future__ import annotations

import csv
from pathlib import Path

QUARANTINE_FILE = "quarantine.csv"


class Quarantine:
    """Written row by row: memory does not grow with the number of bad images."""

    def __init__(self, folder: Path) -> None:
        self._file = (folder / QUARANTINE_FILE).open("w", newline="", encoding="utf-8", errors="backslashreplace")
        self._rows = csv.writer(self._file)
        self._rows.writerow(["path", "reason"])
        self.bad = 0
        self.ignored = 0
        self.first = ""

    def ignore(self, path: str, reason: str) -> None:
        """List what never claimed to be an image: it does not count as bad."""
        self._rows.writerow([path, reason])
        self.ignored += 1

    def add(self, path: str, reason: str) -> None:
        """List an image that cannot be used."""
        self._rows.writerow([path, reason])
        self.first = self.first or f"{path} ({reason})"
        self.bad += 1

    def __enter__(self) -> Quarantine:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

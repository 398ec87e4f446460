"""The kind `npz:<path>`: NumPy arrays in one archive."""

from __future__ import annotations

from pathlib import Path

from components.prepare_data.sources.base import PathKind, Source, SourceName


class _Npz(PathKind):
    suffix = ".npz"

    def refusal(self, path: Path) -> str:
        return "" if path.is_file() else f"{path} is not a file; give one .npz file"

    def open(self, name: SourceName) -> Source:
        from components.prepare_data.sources.npz_archive import NpzSource

        return NpzSource(self.existing(name))


NPZ = _Npz()

"""The kind `parquet:<path>`: a Parquet file, or a folder of them, as public data hubs store images."""

from __future__ import annotations

from pathlib import Path

from components.prepare_data.sources.base import PathKind, Source, SourceName


class _Parquet(PathKind):
    suffix = ".parquet"

    def recognises(self, path: Path) -> bool:
        return super().recognises(path) or (path.is_dir() and any(path.glob("*.parquet")))

    def open(self, name: SourceName) -> Source:
        from components.prepare_data.sources.parquet_files import ParquetSource

        return ParquetSource(self.existing(name))


PARQUET = _Parquet()

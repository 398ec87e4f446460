"""The sources' former address."""

from components.prepare_data.sources import SPLIT_NAMES, absolute_source, open_source, parse_source, source_version

__all__ = ["PATH_KINDS", "SPLIT_NAMES", "absolute_source", "open_source", "parse_source", "source_version"]
PATH_KINDS = ("folder", "parquet", "npz")

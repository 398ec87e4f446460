"""The data sources: which kinds there are, and what is known of a source by its name alone. Light to import.

A source is written `kind` or `kind:rest`:

    mnist-5k  digits                      real digits that come inside installed packages
    torchvision:<Class>                   a data set of torchvision.datasets, downloaded by it
    toy:<name>                            drawn here, with everything about it known
    folder:<path>                         image files; sub-folders are classes
    parquet:<path>                        a file or folder in the convention of public data hubs
    npz:<path>                            NumPy arrays

A kind is one module with a `SourceKind` (`base.py`); `registry.py` lists ours, packages add theirs.
"""

from components.prepare_data.sources.base import SPLIT_NAMES, SourceKind, SourceName
from components.prepare_data.sources.registry import (
    SOURCES,
    absolute_source,
    carried_by,
    forms,
    needs_network,
    open_source,
    parse_source,
    short_name,
    source_version,
    toys_with,
)

__all__ = [
    "SOURCES",
    "SPLIT_NAMES",
    "SourceKind",
    "SourceName",
    "absolute_source",
    "carried_by",
    "forms",
    "needs_network",
    "open_source",
    "parse_source",
    "short_name",
    "source_version",
    "toys_with",
]

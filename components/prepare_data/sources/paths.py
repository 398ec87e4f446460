"""The kinds `folder`, `parquet` and `npz`, which lie at a path; image files in folders are read here, too.

`cat/1.png` is of class cat; `train/cat/1.png` also brings its split.
"""

from collections.abc import Sequence
from pathlib import Path

from components.prepare_data.sources.base import (
    SPLIT_NAMES,
    Batch,
    PathKind,
    RowSource,
    Source,
    SourceName,
    files_below,
    printable,
)
from gan_models.errors import RequestError

# What lies beside images in a normal data set and is no failed image: listed, but not counted as bad.
SIDECARS = frozenset(
    f".{name}"
    for name in (
        *("txt", "md", "rst", "html", "pdf", "log", "ini", "db", "toml", "yaml", "yml", "xml", "json", "jsonl"),
        *("csv", "tsv", "parquet", "npy", "npz", "mat", "pkl", "zip", "tar", "gz", "py", "ipynb"),
    )
)


class FolderSource(RowSource):
    """All image files below a folder, in the order of their paths.

    Folders `train`, `val` (`valid`, `validation`) and `test` at the top are splits when nothing else lies there and
    `train` is among them. Below that, two or more sub-folders are classes, in alphabetical order; images with no
    sub-folder, or in a single one, are unlabelled.

    Raises:
        RequestError: no image files, validation or test images without any for training.
    """

    most_items = 64  # photographs take long: progress is shown, and a stop is heard, between batches

    def __init__(self, root: Path) -> None:
        self._root = root
        files = files_below(root)
        images = [file for file in files if Path(file).suffix.lower() not in SIDECARS]
        self.ignored = [(printable(file), "not an image, by its name") for file in sorted(set(files) - set(images))]
        if not images:
            there = f"{len(files)} other files" if files else "no files"
            raise RequestError(f"folder {root} holds no images ({there}): give the folder that contains them")
        self._splits = _split_folders(root, {_first(file) for file in images} - {""})
        self._depth = 1 if self._splits else 0
        self.given_splits = frozenset(self._splits.values())
        self._files = images
        self.total = len(images)
        classes = {name for name in map(self._folder_of, images) if name}
        self.class_names = tuple(sorted(classes)) if len(classes) > 1 else ()
        self._labels = {name: label for label, name in enumerate(self.class_names)}

    def _folder_of(self, file: str) -> str:
        """The sub-folder that names the class, or ""."""
        parts = file.split("/")
        return printable(parts[self._depth]) if len(parts) > self._depth + 1 else ""

    def batch(self, rows: Sequence[int]) -> Batch:
        files = [self._files[row] for row in rows]
        return Batch(
            items=[str(self._root / file) for file in files],
            paths=[printable(file) for file in files],
            labels=[self._labels.get(self._folder_of(file)) for file in files],
            splits=[self._splits.get(_first(file)) for file in files],
        )


def _split_folders(root: Path, top: set[str]) -> dict[str, str]:
    """Folder name -> split, when all folders at the top are named after splits; else nothing."""
    if not top or any(name.lower() not in SPLIT_NAMES for name in top):
        return {}
    splits = {name: SPLIT_NAMES[name.lower()] for name in top}
    if "train" not in splits.values():
        raise RequestError(
            f"folder {root} holds {' and '.join(sorted(top))} images but none in a train folder: add one"
        )
    return splits


def _first(file: str) -> str:
    """The folder at the top of a relative path, or "" for a file beside the folders."""
    return file.split("/", 1)[0] if "/" in file else ""


class _Folder(PathKind):
    def recognises(self, path: Path) -> bool:
        return path.is_dir()

    def refusal(self, path: Path) -> str:
        return "" if path.is_dir() else f"{path} is a file; give the folder that holds the images"

    def open(self, name: SourceName) -> Source:
        return FolderSource(self.existing(name))


class _Parquet(PathKind):
    suffix = ".parquet"

    def recognises(self, path: Path) -> bool:
        return super().recognises(path) or (path.is_dir() and any(path.glob("*.parquet")))

    def open(self, name: SourceName) -> Source:
        from components.prepare_data.sources.parquet import ParquetSource

        return ParquetSource(self.existing(name))


class _Npz(PathKind):
    suffix = ".npz"

    def refusal(self, path: Path) -> str:
        return "" if path.is_file() else f"{path} is not a file; give one .npz file"

    def open(self, name: SourceName) -> Source:
        from components.prepare_data.sources.npz import NpzSource

        return NpzSource(self.existing(name))


FOLDER, PARQUET, NPZ = _Folder(), _Parquet(), _Npz()

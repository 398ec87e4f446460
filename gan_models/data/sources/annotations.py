"""What files beside images say of them: labels, captions, attributes, domains and splits, wherever all of it lies.

Tables have a row for an image, and a column that names it:

    metadata.csv|tsv|jsonl|parquet   the convention of public hubs: `file_name`, relative to the table, and what it is
    any other .csv, .tsv or .jsonl   where a column names images here (`data.image` says which)
    list_attr_*.txt and the like     CelebA's lists: a count, names, then a row for each image; or `image value` alone

Columns: `label` (or `class`, `category`), `caption` (or `text`), `domain`, `split` (or CelebA's `partition`);
attributes are the columns that hold -1 and 1, 0 and 1, or true and false alone. `NAME.txt` beside `NAME.png` is its
caption.

Tables are held as Arrow: of each image a few numbers and, where it has one, its caption.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gan_models.data.sources.base import NONE, SPLIT_NAMES, Fields, printable, some
from gan_models.errors import RequestError, nearest

if TYPE_CHECKING:
    from pyarrow import csv as arrow_csv

TABLES = (".csv", ".tsv", ".jsonl")
METADATA = tuple(f"metadata{suffix}" for suffix in (*TABLES, ".parquet"))
LIST = re.compile(r"(list_|identity_).*\.txt|.*(labels?|classes|attributes|train|val|test)\.txt", re.IGNORECASE)
"""Text files that may be lists of images; others are read as such by no one."""
IMAGE_COLUMNS = ("file_name", "image_id", "image", "filename", "file", "img", "image_path", "path", "image_name")
LABEL_COLUMNS = ("label", "class", "category")
CAPTION_COLUMNS = ("caption", "text")
PARTITIONS = {"0": "train", "1": "validation", "2": "test"}
"""CelebA's numbers of its splits."""
YES, NO = frozenset({"1", "true"}), frozenset({"0", "-1", "false"})
CAPTION_BYTES = 64 << 10
LOOKED_AT = 16
FEW = 10  # classes, from which on as many classes as images make no sense
BATCH_ROWS = 1 << 16


@dataclass
class Annotations:
    """What is said of each image, by its position; nothing where no file says anything. Made by `read`."""

    class_names: tuple[str, ...] = ()
    domain_names: tuple[str, ...] = ()
    attribute_names: tuple[str, ...] = ()
    labels: np.ndarray | None = None
    """int32 [N], -1 for none."""
    domains: np.ndarray | None = None
    """int32 [N], positions in `domain_names`, -1 for none."""
    attributes: np.ndarray | None = None
    """uint8 [N, A], 0 or 1."""
    splits: list[str | None] | None = None
    """Under our names."""
    captions: pa.Array | None = None
    """Strings [N]."""
    caption_files: bool = False
    """Whether captions are texts beside the images (`text_beside`)."""
    described_by: list[str] = field(default_factory=list)
    """The files that were read."""
    notes: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)

    @property
    def has_captions(self) -> bool:
        return self.caption_files or self.captions is not None


Content = Callable[[str], bytes]


def read(
    files: Sequence[str],
    images: Sequence[str],
    content: Content,
    fields: Fields,
    place: str,
    *,
    splits: bool = True,
) -> Annotations:
    """Everything that `files` say of `images`.

    Args:
        files: paths of what lies there and is no image, relative to one place, with `/`.
        images: paths of the images there; a position in them is what answers go by.
        content: of a file, in bytes.
        fields: what is asked for.
        place: what to call the place in sentences.
        splits: whether tables may say them; else something better does.

    Raises:
        RequestError: metadata that is no table, columns that were named and are not there, an unknown split.
        OSError: a caption cannot be read.
    """
    found = Annotations()
    index, matched = _Index(images), []
    for file in _tables(files, images):
        table = _read_table(file, content, place, found)
        if table is not None and (rows := _match(table, index, fields, place, found)) is not None:
            matched.append((table, *rows))
    _Reading(found, matched, fields, len(images), place).fill(splits=splits)
    _captions_beside(found, files, images, content, fields)
    stems = {file.removesuffix(".json") for file in files if file.endswith(".json")}
    if stems and (called := sum(image.rpartition(".")[0] in stems for image in images)):
        found.doubts.append(f"{called} JSON files are called as images are: what they say is not read")
    return found


@dataclass
class _Table:
    file: str
    columns: dict[str, pa.Array]  # of strings
    others: list[str]  # columns that hold lists and the like

    @cached_property
    def rows(self) -> int:
        return len(next(iter(self.columns.values()), ()))


def _tables(files: Sequence[str], images: Sequence[str]) -> list[str]:
    """The files that may be tables of images, metadata first."""
    found = []
    for file in files:
        name = PurePosixPath(file).name
        if name in METADATA or name.lower().endswith(TABLES) or LIST.fullmatch(name):
            found.append(file)
    if not found:
        return []
    stems = {image.rpartition(".")[0] for image in images}
    return sorted(
        (file for file in found if file.rpartition(".")[0] not in stems),
        key=lambda file: (PurePosixPath(file).name not in METADATA, file),
    )


def _read_table(file: str, content: Content, place: str, found: Annotations) -> _Table | None:
    """A table of strings; None for what is none. RequestError for metadata that is none."""
    name = PurePosixPath(file).name.lower()
    try:
        if name.endswith(".txt"):
            return _read_list(file, content(file))
        if name.endswith(".jsonl"):
            return _read_lines_of_json(file, content(file))
        if name.endswith(".parquet"):
            import pyarrow.parquet as pq

            table = pq.read_table(io.BytesIO(content(file)), use_threads=False)
            return _as_strings(file, dict(zip(table.column_names, table.columns, strict=True)))
        return _read_csv(file, content(file), "\t" if name.endswith(".tsv") else ",")
    except (pa.ArrowException, OSError, ValueError, RecursionError, csv.Error) as error:
        reason = " ".join(str(error).split())[:150]
        said = f"{printable(file)} cannot be read as a table of images ({reason})"
        if PurePosixPath(file).name not in METADATA:
            found.doubts.append(f"{said}: it is not read")
            return None
        raise RequestError(f"{place}: {said}: correct it, or move it away") from None


def _read_csv(file: str, content: bytes, delimiter: str, names: Sequence[str] = ()) -> _Table | None:
    from pyarrow import csv as arrow_csv

    content = content.removeprefix(b"\xef\xbb\xbf")
    if not content.strip():
        return None
    if not names:
        names = next(csv.reader(io.StringIO(content.split(b"\n", 1)[0].decode()), delimiter=delimiter), [])
        names, content = [name.strip() for name in names], content.partition(b"\n")[2]
    if len(set(names)) < len(names):
        twice = next(name for name, count in Counter(names).items() if count > 1)
        raise ValueError(f"two columns are called {twice!r}")
    if not content.strip():
        return _Table(file, {name: pa.array([], pa.string()) for name in names}, [])
    table = arrow_csv.read_csv(
        io.BytesIO(content),
        read_options=arrow_csv.ReadOptions(column_names=list(names), use_threads=False),
        parse_options=arrow_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        convert_options=_all_strings(names),
    )
    return _as_strings(file, dict(zip(table.column_names, table.columns, strict=True)))


def _all_strings(names: Sequence[str]) -> arrow_csv.ConvertOptions:
    """ "007" stays what it is; what is left empty is nothing."""
    from pyarrow import csv as arrow_csv

    return arrow_csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()),
        strings_can_be_null=True,
        quoted_strings_can_be_null=True,
        null_values=[""],
    )


def _read_list(file: str, content: bytes) -> _Table | None:
    """A text of columns between blanks: with CelebA's two lines of heading, or `image value` from the first line on."""
    try:
        content.decode()
    except UnicodeDecodeError:
        return None
    content = content.strip().translate(bytes.maketrans(b"\t\r", b" \n"))
    for double, one in ((b"  ", b" "), (b" \n", b"\n"), (b"\n ", b"\n"), (b"\n\n", b"\n")):
        while double in content:
            content = content.replace(double, one)
    count = content.count(b"\n") + 1
    first, *others = content.split(b"\n", 2)
    if len(others) == 2 and first.isdigit() and int(first) == count - 2:
        names, wide = others[0].decode().split(" "), others[1].split(b"\n", 1)[0].count(b" ") + 1
        if wide == len(names) + 1:
            names = ["image_id", *names]
        return _read_csv(file, others[1], " ", names) if wide == len(names) else None
    if first.count(b" ") != 1 or content.count(b" ") != count:
        return None
    stem = PurePosixPath(file).stem.lower()
    name = "partition" if "partition" in stem else "identity" if stem.startswith("identity") else "label"
    return _read_csv(file, content, " ", ["image_id", name])


def _read_lines_of_json(file: str, content: bytes) -> _Table | None:
    chunks: dict[str, list[pa.Array]] = {}
    others: set[str] = set()
    pending: dict[str, list[str | None]] = {}
    count = rows = 0

    def flush() -> None:
        nonlocal count, rows
        for name, values in pending.items():
            before = chunks.setdefault(name, [pa.nulls(rows, pa.string())])
            before.append(pa.array([*values, *[None] * (count - len(values))], pa.string()))
        for name in chunks.keys() - pending.keys():
            chunks[name].append(pa.nulls(count, pa.string()))
        rows, count = rows + count, 0
        pending.clear()

    for number, line in enumerate(io.BytesIO(content), 1):
        if not line.strip():
            continue
        entry = json.loads(line)
        if not isinstance(entry, dict):
            raise ValueError(f"line {number} is no object")
        for name, value in entry.items():
            if isinstance(value, dict | list):
                others.add(name)
                continue
            values = pending.setdefault(name, [])
            values += [None] * (count - len(values))
            values.append(None if value is None or value == "" else _text(value))
        count += 1
        if count == BATCH_ROWS:
            flush()
    flush()
    if not rows:
        return None
    columns = {name: pa.chunked_array(parts, pa.string()).combine_chunks() for name, parts in chunks.items()}
    return _Table(file, columns, sorted(others - columns.keys()))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _as_strings(file: str, columns: dict[str, pa.ChunkedArray]) -> _Table | None:
    scalar, others = {}, []
    for name, column in columns.items():
        if pa.types.is_nested(column.type) or pa.types.is_binary(column.type):
            others.append(name)
        else:
            scalar[name] = pc.cast(column, pa.string()).combine_chunks()
    return _Table(file, scalar, others) if scalar else None


def _match(
    table: _Table, index: _Index, fields: Fields, place: str, found: Annotations
) -> tuple[str, np.ndarray] | None:
    """The column that names images, and for each image the row that is about it, int64 [N] with -1 for none."""
    named = fields.image if fields.image in table.columns else None
    if fields.image is not None and named is None:
        return None
    known = [name for name in IMAGE_COLUMNS if name in table.columns]
    others = [name for name in table.columns if name not in IMAGE_COLUMNS]
    where, images = printable(table.file), len(index.images)
    for name in [named] if named else [*known, *others]:
        hits = index.positions(table.columns[name], table.file)
        met = len(np.unique(hits[hits >= 0]))
        # Numbers in any column may happen to be names of images.
        if met and (name == named or name in known or 2 * met >= min(len(hits), images)):
            break
    else:
        if named:
            raise RequestError(
                f"data.image={named!r}: no image in {place} is called as that column of {where} says: "
                f"{table.columns[named].slice(0, 1).to_pylist()[:1]}"
            )
        if table.rows and not table.file.lower().endswith(".txt"):
            found.doubts.append(
                f"{where} names no images here in any of its columns ({some([*table.columns])}): it is not read"
            )
        return None
    rows = np.full(images, -1, np.int64)
    inside = np.flatnonzero(hits >= 0)
    rows[hits[inside[::-1]]] = inside[::-1]  # of several rows, the first
    found.described_by.append(table.file)
    if absent := len(hits) - len(inside):
        found.doubts.append(f"{absent} of {len(hits)} rows of {where} name no image here")
    if again := len(inside) - met:
        found.doubts.append(f"{again} rows of {where} name an image once more: what its first row says is read")
    return name, rows


class _Index:
    """Images by what tables call them."""

    def __init__(self, images: Sequence[str]) -> None:
        self.images = images

    def positions(self, values: pa.Array, file: str) -> np.ndarray:
        """int64: the image that each value names, -1 for none: by its path from the table's folder, from a folder that
        is called as the table is, or from the top, else by its last part; with or without an ending."""
        values = pc.replace_substring_regex(pc.replace_substring(values, "\\", "/"), r"^(\./)+", "")
        folder, _, name = file.rpartition("/")
        above = dict.fromkeys((folder, f"{folder}/{name.rpartition('.')[0]}".lstrip("/"), ""))
        wanted = [pc.binary_join_element_wise(pa.scalar(each), values, "/") if each else values for each in above]
        forms = [(each, known) for each in wanted for known in ("_paths", "_paths_but_ending")]
        last = pc.replace_substring_regex(values, r"^.*/", "")
        best = np.full(len(values), -1, np.int64)
        for each, known in (*forms, (last, "_names"), (last, "_names_but_ending")):
            found = pc.index_in(each, value_set=getattr(self, known), skip_nulls=True).fill_null(-1)
            hits = found.to_numpy(zero_copy_only=False).astype(np.int64)
            if (hits >= 0).sum() > (best >= 0).sum():
                best = hits
            if (best >= 0).all():
                break
        return best

    @cached_property
    def _paths(self) -> pa.Array:
        return pa.array(map(printable, self.images), pa.string())

    @cached_property
    def _paths_but_ending(self) -> pa.Array:
        return _unmistakable(pc.replace_substring_regex(self._paths, r"\.[^./]*$", ""))

    @cached_property
    def _names(self) -> pa.Array:
        return _unmistakable(pc.replace_substring_regex(self._paths, r"^.*/", ""))

    @cached_property
    def _names_but_ending(self) -> pa.Array:
        return _unmistakable(pc.replace_substring_regex(self._names, r"\.[^.]*$", ""))


def _unmistakable(names: pa.Array) -> pa.Array:
    """With null where several images are called so."""
    codes = names.dictionary_encode()
    counts = np.bincount(codes.indices.fill_null(len(codes.dictionary)).to_numpy(zero_copy_only=False))
    once = pa.array(counts[: len(codes.dictionary)] == 1)
    return pc.if_else(once.take(codes.indices), names, None)


class _Reading:
    """Fills `Annotations` with what matched tables say."""

    def __init__(
        self,
        found: Annotations,
        tables: list[tuple[_Table, str, np.ndarray]],
        fields: Fields,
        count: int,
        place: str,
    ) -> None:
        self._found, self._fields, self._count, self._place = found, fields, count, place
        self._tables = tables
        self._used: dict[str, set[str]] = {table.file: {image} for table, image, _ in tables}

    def fill(self, *, splits: bool) -> None:
        self._check_named()
        self._labels()
        self._captions()
        self._domains()
        if splits:
            self._splits()
        self._attributes()
        for table, _, _ in self._tables:
            left = [name for name in (*table.columns, *table.others) if name not in self._used[table.file]]
            if left:
                self._found.doubts.append(
                    f"{printable(table.file)}: the columns {some(left)} are left out; data.label, data.caption, "
                    "data.domain and data.attributes choose columns"
                )

    def _check_named(self) -> None:
        there = list(dict.fromkeys(name for table, _, _ in self._tables for name in table.columns))
        for option, value in self._fields.chosen().items():
            for name in value if isinstance(value, tuple) else [value]:
                if name in there or option == "image":
                    continue
                near = nearest(str(name), there)
                hint = f"did you mean {near!r}? " if near else ""
                columns = f"their columns are {', '.join(there)}" if there else "there is none"
                raise RequestError(
                    f"data.{option}={name!r}: no table of the images in {self._place} has that column: {hint}{columns}"
                )
        if self._fields.image is not None and not self._tables:
            raise RequestError(
                f"data.image={self._fields.image!r}: no table (.csv, .tsv, .jsonl) in {self._place} has that column"
            )

    def _column(self, chosen: str | None, usual: Sequence[str]) -> tuple[pa.Array | None, str]:
        """What the tables say in one column, by image: strings [N]; and a few words on where they say it."""
        merged: pa.Array | None = None
        where: list[str] = []
        if chosen == NONE:
            usual = ()
        elif chosen is not None:
            usual = (chosen,)
        for table, image, rows in self._tables:
            name = next((name for name in usual if name in table.columns and name != image), None)
            if name is None:
                continue
            self._used[table.file].add(name)
            said = table.columns[name].take(pa.array(rows, mask=rows < 0))
            if merged is None:
                merged = said
            else:
                if bool(pc.any(pc.and_(pc.is_valid(merged), pc.is_valid(said))).as_py()):
                    self._found.doubts.append(
                        f"{where[0]} and column {name!r} of {printable(table.file)} speak of the same images: the "
                        "first is read"
                    )
                merged = pc.coalesce(merged, said)
            where.append(f"column {name!r} of {printable(table.file)}")
        if merged is not None and merged.null_count == len(merged):
            merged = None
        return merged, some(where)

    def _labels(self) -> None:
        said, where = self._column(self._fields.label, LABEL_COLUMNS)
        if said is None:
            return
        values = pc.utf8_trim_whitespace(said)
        distinct = pc.unique(values.drop_null()).to_pylist()
        numbers = all(re.fullmatch(r"[+-]?\d+", value) for value in distinct)
        if numbers:
            distinct = sorted({int(value) for value in distinct if int(value) >= 0})
        elif all(_is_number(value) for value in distinct) and self._fields.label is None:
            self._found.doubts.append(f"{where} holds numbers that are no classes: it is not read")
            return
        if self._fields.label is None and len(distinct) > max(FEW, len(said) // 2):
            self._found.doubts.append(
                f"{where} holds {len(distinct)} values for {len(said)} images, which are no classes: data.label says "
                "otherwise"
            )
            return
        names = [*map(str, distinct)] if numbers else sorted(distinct)
        if numbers:  # "03" and "3" are one class
            values = pc.if_else(pc.is_valid(values), pc.cast(pc.cast(values, pa.int64()), pa.string()), None)
        self._found.class_names, self._found.labels = tuple(names), _codes(values, names)
        self._found.notes.append(f"labels are those of {where}" + self._absent(self._found.labels))

    def _absent(self, codes: np.ndarray) -> str:
        absent = int((codes < 0).sum())
        return f"; {absent} of {len(codes)} images have none" if absent else ""

    def _captions(self) -> None:
        said, where = self._column(self._fields.caption, CAPTION_COLUMNS)
        if said is not None:
            absent = f"; {said.null_count} of {len(said)} images have none" if said.null_count else ""
            self._found.captions = said
            self._found.notes.append(f"captions are those of {where}{absent}")

    def _domains(self) -> None:
        chosen = self._fields.domain
        said, where = self._column(
            chosen if self._fields.chosen().get("domain") or chosen == NONE else None, ["domain"]
        )
        if said is not None:
            names = sorted(pc.unique(said.drop_null()).to_pylist())
            self._found.domain_names, self._found.domains = tuple(names), _codes(said, names)
            self._found.notes.append(f"domains are those of {where}" + self._absent(self._found.domains))

    def _splits(self) -> None:
        said, where = self._column(None, ("split", "partition"))
        if said is None:
            return
        splits = [None if value is None else value.strip().lower() for value in said.to_pylist()]
        known = PARTITIONS if {*splits} <= {*PARTITIONS, None} else SPLIT_NAMES
        if unknown := sorted({split for split in splits if split is not None and split not in known}):
            raise RequestError(
                f"{self._place}: {where} holds {', '.join(map(repr, unknown[:5]))}; known are {', '.join(SPLIT_NAMES)}"
            )
        self._found.splits = [None if split is None else known[split] for split in splits]
        self._found.notes.append(f"splits are those of {where}")

    def _attributes(self) -> None:
        asked = self._fields.attributes
        if asked == NONE:
            return
        by_name: dict[str, np.ndarray] = {}
        where = []
        for table, image, rows in self._tables:
            taken = self._used[table.file] | {image}
            names = [name for name in table.columns if name not in taken]
            read = {name: codes for name in names if (codes := _yes_or_no(table.columns[name])) is not None}
            if asked is not None:
                if wrong := [name for name in names if name in asked and name not in read]:
                    raise RequestError(
                        f"data.attributes: column {wrong[0]!r} of {printable(table.file)} holds other values than 0 "
                        "and 1, -1 and 1, or true and false"
                    )
                read = {name: codes for name, codes in read.items() if name in asked}
            elif len(read) == 1 and not any((codes == 2).any() for codes in read.values()):
                (name,) = read
                self._found.doubts.append(
                    f"{printable(table.file)}: column {name!r} holds 0 and 1 and is not read: data.label={name} makes "
                    f"classes of it, data.attributes=[{name}] an attribute"
                )
                self._used[table.file].add(name)
                continue
            for name, codes in read.items():
                said = np.full(len(rows), -1, np.int8)
                told = np.flatnonzero(rows >= 0)
                told = told[codes[rows[told]] >= 0]
                said[told] = codes[rows[told]] == 1
                by_name[name] = np.where(by_name[name] < 0, said, by_name[name]) if name in by_name else said
                self._used[table.file].add(name)
            if read:
                where.append(printable(table.file))
        if not by_name:
            return
        names = list(by_name) if asked is None else [name for name in asked if name in by_name]
        values = np.stack([by_name[name] for name in names], axis=1)
        absent = int((values < 0).any(axis=1).sum())
        if absent and asked is None:
            self._found.doubts.append(
                f"{some(where)} says nothing of {absent} of {self._count} images: its attributes are not read; "
                "data.attributes=[NAME, ...] reads some, and leaves out the images without"
            )
            return
        self._found.attribute_names, self._found.attributes = tuple(names), values
        self._found.notes.append(f"attributes are those of {some(where)}: {some(names)}")


def _codes(values: pa.Array, names: Sequence[str]) -> np.ndarray:
    """int32 [N]: positions in `names`, -1 for what is none of them."""
    found = pc.index_in(values, value_set=pa.array(names, pa.string()), skip_nulls=True).fill_null(-1)
    return np.asarray(found.to_numpy(zero_copy_only=False), np.int32)


def _yes_or_no(column: pa.Array) -> np.ndarray | None:
    """int8: 1 for yes, 0 for no (2 where that is written -1), -1 where nothing is said; None where it holds others."""
    codes = pc.utf8_lower(pc.utf8_trim_whitespace(column)).dictionary_encode()
    values = codes.dictionary.to_pylist()
    if not values or not {*values} <= YES | NO:
        return None
    meaning = np.array([1 if value in YES else 2 if value == "-1" else 0 for value in values] + [-1], np.int8)
    return meaning[codes.indices.fill_null(len(values)).to_numpy(zero_copy_only=False)]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _captions_beside(
    found: Annotations, files: Sequence[str], images: Sequence[str], content: Content, fields: Fields
) -> None:
    """Whether texts beside the images, called as these are, are captions."""
    texts = {file.removesuffix(".txt") for file in files if file.endswith(".txt")}
    if not texts:
        return
    named = [stem for image in images if (stem := image.rpartition(".")[0]) in texts]
    if not named or fields.caption == NONE:
        return
    if found.captions is not None:
        found.doubts.append(f"{len(named)} text files are called as images are, and not read: a table holds captions")
        return
    looked = []
    for stem in named[:: max(1, len(named) // LOOKED_AT)]:
        with suppress(OSError):  # those that are captions are told of when they are read
            looked.append(_first_line(content(f"{stem}.txt")))
    if all(_is_number(word) for line, _ in looked for word in (line or "").split()):
        found.doubts.append(
            f"{len(named)} text files are called as images are, but hold numbers or nothing: they are no captions, "
            "and not read"
        )
        return
    found.caption_files = True
    some_have = f" ({len(named)} of {len(images)} images have one)" if len(named) < len(images) else ""
    found.notes.append(f"captions are the text files beside the images{some_have}")
    if any(more for _, more in looked):
        found.doubts.append("text files beside the images hold several lines: the first is the caption")


def text_beside(image: str, content: Content) -> str | None:
    """The caption of an image in a text file beside it; None where there is none.

    Raises:
        ValueError: it is not UTF-8.
        OSError: it cannot be read.
    """
    try:
        return caption_of(content(f"{image.rpartition('.')[0]}.txt"))
    except (FileNotFoundError, KeyError):
        return None


def caption_of(text: bytes) -> str | None:
    """The first line that is not empty; ValueError where it is not UTF-8."""
    return _first_line(text, strict=True)[0]


def _first_line(content: bytes, *, strict: bool = False) -> tuple[str | None, bool]:
    """The first line that is not empty, and whether others follow."""
    text = content[:CAPTION_BYTES].decode("utf-8-sig", "strict" if strict else "replace")
    lines = [line for each in text.splitlines() if (line := each.strip())]
    return (lines[0] if lines else None), len(lines) > 1

"""Files of named arrays, NumPy's archives among them: one array of images, optionally one of labels. Never unpickles.

Images are called `images`, `imgs`, `x` or `arr_0`, labels `labels` or `y`, or `arr_1` beside `arr_0` (as ADM's samples
come); `Fields` names others. Files that bring splits hold `x_train`, `y_train`, `x_test`, ... (as Keras writes them) or
`train_images`, `train_labels`, `val_images`, ... (as MedMNIST does).
Beside `images` there may be `attributes` [N, A], 0 or 1 (or -1 and 1) each, with `attribute_names` [A], and `partners`,
of the shape and type of the images: what each is to be made from, for pairs. `attributes_train` and `partners_train`,
or `train_attributes` and `train_partners`, are those of a split. `embeddings` (`train_embeddings`, ...) [N, E] or
[N, n, E] are what images carry in place of texts, and `captions` (`train_captions`, ...) [N] are these texts.
Shapes: [N, H, W], [N, H, W, C] or [N, C, H, W] with C in 1, 3, 4. Values: 8 or 16 bits, booleans, or floats in [0, 1],
[-1, 1] or [0, 255]. Image arrays are read from the archive piece by piece.
"""

import math
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import IO

import numpy as np
import pyarrow as pa
from numpy.lib import format as npy
from PIL import Image

from gan_models.data.decoding import Item
from gan_models.data.formats import WINDOW
from gan_models.data.ranges import DEEP_WHITE, WHITES, white_note
from gan_models.data.sources.base import AS_IT_IS, BATCH_BYTES, NONE, SPLIT_NAMES, Batch, Fields, Source, rows_within
from gan_models.data.sources.places import Place, source_bytes
from gan_models.errors import RequestError, nearest

IMAGE_NAMES = ("images", "imgs", "x", "arr_0")
LABEL_NAMES = ("labels", "y")
ATTRIBUTES, ATTRIBUTE_NAMES, PARTNERS = "attributes", "attribute_names", "partners"
EMBEDDINGS, CAPTIONS = "embeddings", "captions"
CHANNELS = (1, 3, 4)
NAME_CHARACTERS = 1000
ENCODED_ROWS = 32
"""Encoded images that are read at a time: their sizes are not known before."""


Header = tuple[tuple[int, ...], bool, np.dtype[np.generic]]
"""Shape, Fortran order and type of an array. Of encoded images the type is object, and each is an array of bytes."""


class Arrays(ABC):
    """A file of named arrays. What cannot be read raises OSError, EOFError or ValueError."""

    what: str
    """What it is called in sentences."""

    def __init__(self, path: Place) -> None:
        self.path = path

    @cached_property
    @abstractmethod
    def names(self) -> list[str]: ...

    @abstractmethod
    def header(self, name: str) -> Header: ...

    def encoded(self, name: str) -> bool:
        """Whether an array holds images as files do."""
        return False

    @abstractmethod
    def pieces(self, name: str, step: int) -> Iterator[np.ndarray]:
        """An array in C order, `step` rows at a time."""


class NpzArrays(Arrays):
    """Those of a NumPy archive; zipfile's errors, too."""

    what = "a NumPy archive (.npz)"

    @cached_property
    def names(self) -> list[str]:
        with self._archive() as archive:
            return [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]

    def header(self, name: str) -> Header:
        with self._archive() as archive, archive.open(f"{name}.npy") as file:
            return _read_header(file)

    def pieces(self, name: str, step: int) -> Iterator[np.ndarray]:
        with self._archive() as archive, archive.open(f"{name}.npy") as file:
            shape, _, dtype = _read_header(file)
            row_bytes = math.prod(shape[1:]) * dtype.itemsize
            for start in range(0, shape[0], step):
                rows = min(step, shape[0] - start)
                content = file.read(rows * row_bytes)
                if len(content) < rows * row_bytes:
                    raise EOFError(f"array {name!r} ends after {start} of {shape[0]} rows")
                yield np.frombuffer(content, dtype).reshape(rows, *shape[1:])

    def _archive(self) -> zipfile.ZipFile:
        return zipfile.ZipFile(source_bytes(self.path))


@dataclass(frozen=True)
class Part:
    """One array of images inside the file."""

    images: str
    labels: str
    attributes: str
    partners: str
    split: str | None
    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    embeddings: str = ""
    captions: str = ""

    @property
    def channels_first(self) -> bool:
        return len(self.shape) == 4 and self.shape[3] not in CHANNELS

    @property
    def has_deep_colours(self) -> bool:
        colours = len(self.shape) == 4 and self.shape[1 if self.channels_first else 3] > 1
        return colours and self.dtype != np.uint8 and not self.dtype.hasobject


class ArraySource(Source):
    """Images in arrays: their headers and all labels are read when it is opened, pixels with the batches.

    Raises:
        RequestError: not such a file, no image array (naming the arrays there are), a shape or type that images do not
            have, labels of another length; when pixels are read, a range of values that images do not have.
    """

    def __init__(self, arrays: Arrays, fields: Fields = AS_IT_IS) -> None:
        self._arrays, self._fields = arrays, fields
        self._path = path = arrays.path
        try:
            self._parts = self._find_parts()
            self._labels = self._read_labels()
            self._attributes = self._read_attributes()
            self._embeddings = self._read_embeddings()
            self._captions = self._read_captions()
        # RuntimeError: zipfile, of a member that is encrypted.
        except (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, RuntimeError) as error:
            raise RequestError(f"cannot read {path} as {arrays.what}: {error}") from error
        if lacking := [part.images for part in self._parts if self.paired and not part.partners]:
            raise RequestError(f"{path}: array {lacking[0]!r} has no partners, other arrays have")
        self.total = sum(part.shape[0] for part in self._parts)
        if self.total == 0:
            raise RequestError(f"{path} holds no images: its array {self._parts[0].images!r} is empty")
        self.scaled = any(part.has_deep_colours for part in self._parts)
        self.given_splits = frozenset(part.split for part in self._parts if part.split)
        self.split_counts = {part.split: part.shape[0] for part in self._parts if part.split}
        if self.given_splits and "train" not in self.given_splits:
            raise RequestError(f"{path} holds {' and '.join(sorted(self.given_splits))} images but none for training")

    def _find_parts(self) -> list[Part]:
        names, fields = self._arrays.names, self._fields
        for option, value in fields.chosen().items():
            if value not in names:
                near = nearest(str(value), names)
                hint = f"did you mean {near!r}? " if near else ""
                raise RequestError(
                    f"data.{option}={value!r}: {self._path} has no such array: {hint}Its arrays are {', '.join(names)}"
                )
        found: list[tuple[str, str, str, str, str | None]] = []
        vectors: dict[str, str] = {}  # of embeddings, by the name of the images
        texts: dict[str, str] = {}  # of captions, likewise
        whole = fields.image or next((name for name in IMAGE_NAMES if name in names), "")
        if whole:
            labels = next((name for name in (fields.label or "", *LABEL_NAMES) if name in names), "")
            if fields.label is None and not labels and whole == "arr_0" and self._are_labels("arr_1"):
                labels = "arr_1"
                self.notes = ["labels are those of arr_1: of arrays without names, the one with an integer an image"]
            attributes, partners = (name if name in names else "" for name in (ATTRIBUTES, PARTNERS))
            found.append((whole, labels, attributes, partners, None))
            vectors[whole], texts[whole] = EMBEDDINGS, fields.caption or CAPTIONS
        else:
            for alias, split in SPLIT_NAMES.items():
                forms = (
                    ("{}_" + alias, f"x_{alias}"),
                    (alias + "_{}", f"{alias}_images"),
                    (alias + "/{}", f"{alias}/images"),
                )
                for form, images in forms:
                    if images in names:
                        beside = [
                            form.format(what) for what in ("y" if images[0] == "x" else "labels", ATTRIBUTES, PARTNERS)
                        ]
                        labels, attributes, partners = (name if name in names else "" for name in beside)
                        found.append((images, labels, attributes, partners, split))
                        vectors[images], texts[images] = form.format(EMBEDDINGS), form.format(CAPTIONS)
        if not found:
            raise RequestError(
                f"{self._path} has no array 'images', 'imgs', 'x' or 'arr_0': its arrays are "
                f"{', '.join(names) or 'none'}; data.image=NAME says which holds the images"
            )
        vectors, texts = ({at: name for at, name in each.items() if name in names} for each in (vectors, texts))
        read = {name for *arrays, _ in found for name in arrays} | {ATTRIBUTE_NAMES, *vectors.values(), *texts.values()}
        if fields.label == NONE:
            found = [(each[0], "", *each[2:]) for each in found]
        for option, value in fields.chosen().items():
            if value not in read:
                raise RequestError(
                    f"data.{option}={value!r}: {self._path} brings splits, whose labels are 'y_train', 'train_labels' "
                    "and the like; name its images too, with data.image, to read one array alone"
                )
        if unused := sorted(set(names) - read):
            self.doubts = [
                f"the arrays {', '.join(unused)} are left out: data.image, data.label and data.caption choose arrays"
            ]
        return [
            replace(self._part(*entry), embeddings=vectors.get(entry[0], ""), captions=texts.get(entry[0], ""))
            for entry in found
        ]

    def _are_labels(self, array: str) -> bool:
        """Whether there is such an array, and it holds one integer for each image of `arr_0`."""
        if array not in self._arrays.names:
            return False
        count, (shape, _, dtype) = self._arrays.header("arr_0")[0][:1], self._arrays.header(array)
        return dtype.kind in "iu" and shape in (count, (*count, 1))

    def _part(self, images: str, labels: str, attributes: str, partners: str, split: str | None) -> Part:
        shape, fortran, dtype = self._arrays.header(images)
        place = f"{self._path}: array {images!r}"
        if dtype.hasobject and self._arrays.encoded(images) and len(shape) == 1:
            return Part(images, labels, attributes, partners, split, shape, dtype)
        if dtype.hasobject:
            raise RequestError(f"{place} holds Python objects, which are never loaded: save it with a numeric type")
        channels_known = len(shape) == 3 or (len(shape) == 4 and (shape[3] in CHANNELS or shape[1] in CHANNELS))
        if not channels_known or 0 in shape[1:]:
            raise RequestError(f"{place} has shape {list(shape)}: images are [N, H, W], [N, H, W, C] or [N, C, H, W]")
        height, width = shape[2:4] if len(shape) == 4 and shape[3] not in CHANNELS else shape[1:3]
        limit = Image.MAX_IMAGE_PIXELS
        if limit is not None and height * width > limit:  # of which one alone would fill the memory
            raise RequestError(
                f"{place} has images of {width}x{height} pixels, the limit is {limit}: store smaller ones"
            )
        if dtype.kind not in "buif":
            raise RequestError(f"{place} has type {dtype}: images are integers, floats or booleans")
        if fortran:
            raise RequestError(f"{place} is in Fortran order: save numpy.ascontiguousarray of it")
        if partners:
            header = self._arrays.header(partners)
            if header != (shape, fortran, dtype):
                raise RequestError(
                    f"{self._path}: array {partners!r} is {header[2]} of shape {list(header[0])}; partners are of the "
                    f"type and shape of the images, {dtype} {list(shape)}"
                )
        self.paired = self.paired or bool(partners)
        return Part(images, labels, attributes, partners, split, shape, dtype)

    @cached_property
    def _window(self) -> tuple[float, float] | None:
        """The values that become black and white: by type where that decides, else by those of the whole archive; None
        where there is no telling."""
        kinds = {part.dtype for part in self._parts if not part.dtype.hasobject}
        if kinds == {np.dtype(np.uint8)}:
            return 0.0, 255.0
        low, high = self._extremes()
        floats = any(kind.kind == "f" for kind in kinds)
        if low >= 0 and high <= 1 and (floats or kinds == {np.dtype(bool)}):
            return 0.0, 1.0
        if low >= -1 and high <= 1 and floats:
            return -1.0, 1.0
        if low >= 0 and high <= DEEP_WHITE and not floats and (high > 255 or kinds == {np.dtype(np.uint16)}):
            white = next(each for each in WHITES if high <= each)
            self.notes = [*self.notes, white_note(high, white)]
            return 0.0, float(white)
        return (0.0, 255.0) if low >= 0 and high <= 255 else None  # nor of NaN

    def _extremes(self) -> tuple[float, float]:
        """The least and the largest value of the archive; NaN where one is."""
        low, high = np.inf, -np.inf
        for part in self._parts:
            arrays = [name for name in (part.images, part.partners) if name and not part.dtype.hasobject]
            for _, piece in (each for name in arrays for each in self._pieces(name, part.shape, part.dtype)):
                low, high = np.minimum(low, piece.min()), np.maximum(high, piece.max())
        return float(low), float(high)

    def _read_labels(self) -> list[np.ndarray] | None:
        """int64 [N] for each part, -1 for none; sets the class names."""
        if not any(part.labels for part in self._parts):
            return None
        kinds = [self._label_type(part) for part in self._parts]
        as_text = any(kind.kind in "US" for kind in kinds)
        known: dict[int | str, int] = {}  # the place of each value in the order in which they are found
        read = [
            np.concatenate([_places(values, as_text, known) for values in self._values(part, kind)])
            for part, kind in zip(self._parts, kinds, strict=True)
        ]
        names = sorted(known, key=lambda value: (isinstance(value, str), value))
        self.class_names = tuple(map(str, names))
        labels = np.empty(len(known) + 1, np.int64)
        labels[-1] = -1  # where the place is -1, too
        labels[[known[name] for name in names]] = np.arange(len(names))
        if absent := sum(int((places < 0).sum()) for places in read):
            self.notes = [*self.notes, f"{absent} of {sum(map(len, read))} images have no label"]
        return [labels[places] for places in read]

    def _read_attributes(self) -> list[np.ndarray] | None:
        """uint8 [N, A] for each part; sets their names. RequestError where they are not A numbers for each image."""
        if not any(part.attributes for part in self._parts):
            return None
        read = []
        for part in self._parts:
            if not part.attributes:
                raise RequestError(f"{self._path}: array {part.images!r} has no attributes, other arrays have")
            shape, fortran, dtype = self._arrays.header(part.attributes)
            if len(shape) != 2 or shape[0] != part.shape[0] or not shape[1] or dtype.kind not in "biu" or fortran:
                raise RequestError(
                    f"{self._path}: array {part.attributes!r} is {dtype} of shape {list(shape)}; {part.shape[0]} images"
                    " need as many rows of booleans or integers, a column for each attribute"
                )
            pieces = [piece > 0 for _, piece in self._pieces(part.attributes, shape, dtype)]
            read.append(np.concatenate([np.empty((0, shape[1]), bool), *pieces]).astype(np.uint8))
        if len(widths := {rows.shape[1] for rows in read}) > 1:
            raise RequestError(f"{self._path}: its arrays of attributes have {' and '.join(map(str, widths))} columns")
        self.attribute_names = self._names_of_attributes(read[0].shape[1])
        return read

    def _names_of_attributes(self, count: int) -> tuple[str, ...]:
        if ATTRIBUTE_NAMES not in self._arrays.names:
            return tuple(map(str, range(count)))
        shape, _, dtype = self._arrays.header(ATTRIBUTE_NAMES)
        if shape != (count,) or dtype.kind != "U" or dtype.itemsize > 4 * NAME_CHARACTERS:
            raise RequestError(
                f"{self._path}: array {ATTRIBUTE_NAMES!r} is {dtype} of shape {list(shape)}; {count} attributes need "
                "one string each"
            )
        return tuple(str(name) for names in self._arrays.pieces(ATTRIBUTE_NAMES, count) for name in names.tolist())

    def _label_type(self, part: Part) -> np.dtype[np.generic]:
        """The type of a part's labels, by the header alone; RequestError: they are none, or not one for each image."""
        if not part.labels:
            raise RequestError(f"{self._path}: array {part.images!r} has no labels, other arrays have")
        shape, _, dtype = self._arrays.header(part.labels)
        place = f"{self._path}: array {part.labels!r}"
        if dtype.hasobject:
            raise RequestError(f"{place} holds Python objects, which are never loaded: save it with a numeric type")
        if shape not in ((part.shape[0], 1), (part.shape[0],)) or dtype.kind not in "iuUS":
            raise RequestError(
                f"{place} is {dtype} of shape {list(shape)}; {part.shape[0]} images need one integer or string each"
            )
        characters = dtype.itemsize // (4 if dtype.kind == "U" else 1)
        if dtype.kind in "US" and characters > NAME_CHARACTERS:
            raise RequestError(
                f"{place} holds texts of {characters} characters, names of classes have {NAME_CHARACTERS} at most"
            )
        return dtype

    def _read_embeddings(self) -> list[np.ndarray]:
        """float32 [N, n, E] for each part, none where the archive has no such arrays; sets `embeddings`."""
        if not any(part.embeddings for part in self._parts):
            return []
        read = []
        for part in self._parts:
            if not part.embeddings:
                raise RequestError(f"{self._path}: array {part.images!r} has no embeddings, other arrays have")
            shape, fortran, dtype = self._arrays.header(part.embeddings)
            place = f"{self._path}: array {part.embeddings!r}"
            if dtype.kind != "f" or fortran or len(shape) not in (2, 3) or 0 in shape[1:]:
                order = ", in Fortran order" if fortran else ""
                raise RequestError(
                    f"{place} is {dtype} of shape {list(shape)}{order}: embeddings are floats [N, E] or [N, n, E] in C "
                    "order"
                )
            if shape[0] != part.shape[0]:
                raise RequestError(f"{place} has {shape[0]} rows, there are {part.shape[0]} images")
            pieces = [piece.astype(np.float32) for _, piece in self._pieces(part.embeddings, shape, dtype)]
            values = np.concatenate([np.empty((0, *shape[1:]), np.float32), *pieces])
            read.append(values if len(shape) == 3 else values[:, None])
        shapes = {each.shape[1:] for each in read}
        if len(shapes) > 1:
            raise RequestError(f"{self._path}: its arrays of embeddings have different shapes: {sorted(shapes)}")
        self.embeddings = read[0].shape[1:]
        return read

    def _read_captions(self) -> list[pa.Array]:
        """Strings [N] for each part, none where the file has no such arrays; sets `has_captions`."""
        if self._fields.caption == NONE or not any(part.captions for part in self._parts):
            return []
        read = []
        for part in self._parts:
            if not part.captions:
                read.append(pa.nulls(part.shape[0], pa.string()))
                continue
            shape, _, dtype = self._arrays.header(part.captions)
            if shape != part.shape[:1] or dtype.kind not in "US":
                raise RequestError(
                    f"{self._path}: array {part.captions!r} is {dtype} of shape {list(shape)}; {part.shape[0]} images "
                    "need one string each"
                )
            if dtype.itemsize > NAME_CHARACTERS * (4 if dtype.kind == "U" else 1):  # every row takes as much
                raise RequestError(
                    f"{self._path}: array {part.captions!r} holds texts of more than {NAME_CHARACTERS} characters, "
                    "which captions in arrays have at most: shorten them, or set data.caption=none"
                )
            pieces = [pa.array([], pa.string())]
            for _, values in self._pieces(part.captions, shape, dtype):
                texts = values.tolist() if dtype.kind == "U" else [each.decode() for each in values.tolist()]
                pieces.append(pa.array([text or None for text in texts], pa.string()))
            read.append(pa.concat_arrays(pieces))
        self.has_captions = True
        return read

    def _values(self, part: Part, dtype: np.dtype[np.generic]) -> Iterator[np.ndarray]:
        yield np.empty(0, dtype)
        if dtype.itemsize:  # else all are empty
            for _, values in self._pieces(part.labels, (part.shape[0],), dtype):
                yield values.reshape(-1)
        else:
            yield np.zeros(part.shape[0], dtype)

    def _pieces(
        self, array: str, shape: tuple[int, ...], dtype: np.dtype[np.generic]
    ) -> Iterator[tuple[int, np.ndarray]]:
        """(first row, rows of the array) of about BATCH_BYTES each."""
        step = ENCODED_ROWS if dtype.hasobject else max(1, BATCH_BYTES // (math.prod(shape[1:]) * dtype.itemsize))
        start = 0
        for piece in self._arrays.pieces(array, step):
            yield start, piece
            start += len(piece)

    def batches(self, rows: Sequence[int] | None, items: int) -> Iterator[Batch]:
        wanted = np.arange(self.total) if rows is None else np.asarray(rows, np.int64)
        offset = 0
        for index, part in enumerate(self._parts):
            inside = rows_within(wanted, offset, part.shape[0])
            both = [self._pieces(name, part.shape, part.dtype) for name in (part.images, part.partners) if name]
            for pieces in zip(*both, strict=True):
                start = pieces[0][0]
                chosen = rows_within(inside, start, len(pieces[0][1]))
                for first in range(0, len(chosen), items):
                    positions = chosen[first : first + items]
                    yield self._batch(index, [piece[positions] for _, piece in pieces], positions + start)
            offset += part.shape[0]

    def _items(self, images: np.ndarray, part: Part) -> list[Item]:
        if part.dtype.hasobject:
            return [image.tobytes() for image in images]
        pixels = np.moveaxis(images, 1, -1) if part.channels_first else images
        if pixels.ndim == 4 and pixels.shape[-1] == 1:
            pixels = pixels[..., 0]
        if part.dtype == np.uint8:
            return [Image.fromarray(np.ascontiguousarray(image)) for image in pixels]
        return [self._grey(image) if image.ndim == 2 else self._colours(image) for image in pixels]

    def _grey(self, values: np.ndarray) -> Image.Image:
        """As stored, with what becomes black and white."""
        image = Image.fromarray(np.ascontiguousarray(values, np.uint16 if values.dtype == np.uint16 else np.float32))
        if self._window is not None:
            image.info[WINDOW] = self._window
        return image

    def _colours(self, values: np.ndarray) -> Image.Image:
        """In 8 bits, which are all that Pillow has of colours."""
        if self._window is None:
            low, high = self._extremes()
            raise RequestError(
                f"{self._path}: image values from {low:g} to {high:g}: scale them to 0..255, or floats to [0, 1] or "
                "[-1, 1]"
            )
        black, white = self._window
        return Image.fromarray(np.rint((values.astype(np.float64) - black) * (255 / (white - black))).astype(np.uint8))

    def _batch(self, index: int, sides: list[np.ndarray], positions: np.ndarray) -> Batch:
        part = self._parts[index]
        items, partners = (self._items(sides[0], part), self._items(sides[1], part) if len(sides) > 1 else [])
        labels: list[int | None] = [None] * len(positions)
        if self._labels is not None:
            labels = [label if label >= 0 else None for label in self._labels[index][positions].tolist()]
        return Batch(
            items=items,
            paths=[f"{part.images}[{position}]" for position in positions],
            labels=labels,
            splits=[part.split] * len(positions),
            captions=self._captions[index].take(pa.array(positions)).to_pylist() if self._captions else [],
            attributes=[] if self._attributes is None else list(self._attributes[index][positions].tolist()),
            partners=partners,
            embeddings=[self._embeddings[index][position] for position in positions] if self._embeddings else [],
        )


class NpzSource(ArraySource):
    """Images in a NumPy archive; RequestError as `ArraySource`."""

    def __init__(self, path: Place, fields: Fields = AS_IT_IS) -> None:
        super().__init__(NpzArrays(path), fields)


def _places(values: np.ndarray, as_text: bool, known: dict[int | str, int]) -> np.ndarray:
    """Each value's place in `known`, which new ones are added to; -1 for negative numbers, the way to say "none"."""
    distinct, inverse = np.unique(values, return_inverse=True)
    places = []
    for value in distinct.tolist():
        name = value.decode() if isinstance(value, bytes) else value
        is_label = isinstance(name, str) or name >= 0
        places.append(known.setdefault(str(name) if as_text else name, len(known)) if is_label else -1)
    return np.array(places, np.int64)[inverse]


def _read_header(file: IO[bytes]) -> Header:
    """Of the .npy file that `file` is at the start of."""
    version = npy.read_magic(file)
    if version == (1, 0):
        return npy.read_array_header_1_0(file)
    if version == (2, 0):
        return npy.read_array_header_2_0(file)
    raise ValueError(f"its array format is version {version}")

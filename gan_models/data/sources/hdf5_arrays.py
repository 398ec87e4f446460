"""The arrays of an HDF5 file."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import h5py
import numpy as np

from gan_models.data.sources.npz import NAME_CHARACTERS, Arrays, Header
from gan_models.data.sources.places import source_bytes
from gan_models.errors import RequestError

CHUNK_BYTES = 256 << 20
"""Of a chunk that is unpacked once and kept while its rows are handed out."""


class Hdf5Arrays(Arrays):
    """Those of a file, by their paths in it; what lies in other files that it links to is not looked for."""

    what = "an HDF5 file"

    @contextmanager
    def _file(self) -> Iterator[Any]:
        try:
            with h5py.File(source_bytes(self.path), "r") as file:
                yield file
        except (KeyError, RuntimeError, TypeError) as error:  # what h5py raises of objects that are damaged
            raise OSError(" ".join(str(error).split())) from error

    @cached_property
    def names(self) -> list[str]:
        found: list[str] = []

        def visit(name: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset) and item.shape and not item.external and not item.is_virtual:
                found.append(name)

        with self._file() as file:
            file.visititems(visit)
        return found

    def header(self, name: str) -> Header:
        with self._file() as file:
            array = file[name]
            self._check_filters(array)
            if h5py.check_string_dtype(array.dtype) is None or array.dtype.kind == "S":
                return array.shape, False, array.dtype
            # Of texts of any length the longest says the type, as NumPy has it.
            longest = max((len(text) for texts in self._texts(array) for text in texts.tolist()), default=0)
            return array.shape, False, np.dtype(f"U{min(longest, NAME_CHARACTERS + 1)}")

    def encoded(self, name: str) -> bool:
        with self._file() as file:
            return h5py.check_vlen_dtype(file[name].dtype) == np.dtype(np.uint8)

    def pieces(self, name: str, step: int) -> Iterator[np.ndarray]:
        with self._file() as file:
            array = file[name]
            if h5py.check_string_dtype(array.dtype) is not None and array.dtype.kind == "O":
                _, _, dtype = self.header(name)
                for texts in self._texts(array):
                    yield from (texts[first : first + step].astype(dtype) for first in range(0, len(texts), step))
                return
            rows = max(step, self._chunk_rows(array) // step * step)
            for start in range(0, array.shape[0], rows):
                block = array[start : start + rows]
                yield from (block[first : first + step] for first in range(0, len(block), step))

    @staticmethod
    def _texts(array: Any) -> Iterator[np.ndarray]:
        for start in range(0, array.shape[0], 1 << 16):
            yield array.asstr(errors="replace")[start : start + (1 << 16)]

    @staticmethod
    def _chunk_rows(array: Any) -> int:
        """Rows that are packed together, where memory holds them: else each would be unpacked many times."""
        if array.chunks is None or array.dtype.hasobject:
            return 1
        row_bytes = math.prod(array.shape[1:]) * array.dtype.itemsize
        return int(array.chunks[0]) if array.chunks[0] * row_bytes <= CHUNK_BYTES else 1

    def _check_filters(self, array: Any) -> None:
        """RequestError: it is packed by something that is not here."""
        made = array.id.get_create_plist()
        for number in range(made.get_nfilters()):
            code, *_, name = made.get_filter(number)
            if not h5py.h5z.filter_avail(code):
                called = name.decode(errors="replace").partition(";")[0].strip() or f"number {code}"
                raise RequestError(
                    f"{self.path}: array {array.name.lstrip('/')!r} is packed by the filter {called}, which is not "
                    "here: write it anew with gzip, or without (h5repack -f GZIP=4)"
                )

"""The kind `hdf5`: images in arrays of an HDF5 file, as BigGAN's ILSVRC comes: `imgs` [N, C, H, W] and `labels` [N].

Names, shapes and values are those of NumPy's archives (`npz.py`); `data.image` and `data.label` choose others, those in
groups by their paths (`train/images`). Arrays of bytes of any length (`vlen uint8`) are encoded images.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from gan_models.data.sources.base import PathKind, Source, SourceName
from gan_models.data.sources.places import Place
from gan_models.errors import RequestError

ENDINGS = (".hdf5", ".h5", ".he5")


class _Hdf5(PathKind):
    suffix = ".hdf5"
    chooses = ("image", "label", "caption")

    def recognises_name(self, name: str) -> bool:
        return name.endswith(ENDINGS)

    def recognises(self, path: Path) -> bool:
        return self.recognises_name(path.name) and path.is_file()

    def refusal(self, path: Place) -> str:
        return "" if path.is_file() else f"{path} is not a file; give one .hdf5 file"

    def existing(self, name: SourceName) -> Place:
        place = super().existing(name)
        if find_spec("h5py") is None:
            raise RequestError(
                f"data source {str(name)!r}: HDF5 is read by the package h5py, which is not installed: pip install "
                "gan-pipeline[hdf5]"
            )
        return place

    def open(self, name: SourceName) -> Source:
        from gan_models.data.sources.hdf5_arrays import Hdf5Arrays
        from gan_models.data.sources.npz import ArraySource

        return ArraySource(Hdf5Arrays(self.existing(name)), name.fields)


HDF5 = _Hdf5()

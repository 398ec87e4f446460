"""The kind `toy:<name>`."""

from gan_models.data.sources.base import Source, SourceKind, SourceName, carrying, releases
from gan_models.data.sources.toy_catalogue import TOYS


class _Toy(SourceKind):
    rest = "name"
    names = TOYS

    def carries(self, name: SourceName) -> frozenset[str]:
        toy = TOYS[name.rest]
        return carrying(True, toy.domains, toy.captions, toy.attributes, toy.paired)

    def version(self, name: SourceName) -> str:
        toy = TOYS[name.rest]
        return f"{name.rest}-{toy.version}_{releases(toy.packages, name)}"

    def open(self, name: SourceName) -> Source:
        from gan_models.data.sources.toy_images import open_toy

        return open_toy(name.rest)


TOY = _Toy()

"""What there is of a kind, by name: the project's own, and what installed packages add by entry points.

A package adds a loss, say, by a line of its own `pyproject.toml`, and nothing here is changed for it:

    [project.entry-points."gan_pipeline.losses"]
    my-loss = "my_package.losses:MyLoss"
"""

from collections.abc import Iterator, Mapping
from functools import cache, cached_property
from importlib.metadata import EntryPoint, entry_points
from pkgutil import resolve_name
from typing import Generic, TypeVar, cast

from gan_models.errors import RequestError, unknown_name

_KINDS = ("families", "games", "losses", "regularizers", "tasks", "metrics", "sources", "stages", "engines", "trackers")
GROUPS = tuple(f"gan_pipeline.{kind}" for kind in _KINDS)

T = TypeVar("T")


class Registry(Mapping[str, T], Generic[T]):
    """Everything of one kind; what a name stands for is imported when it is first asked for.

    Args:
        kind: what one of them is called, as in "unknown loss 'hing'".
        group: the entry points that packages add more by, one of `GROUPS`.
        own: the project's, each itself or as "module:attribute"; their order is kept, those of packages come after.
    """

    def __init__(self, kind: str, group: str, own: Mapping[str, T | str]) -> None:
        self.kind = kind
        self.group = group
        self._own = own
        self._loaded: dict[str, T] = {}

    @cached_property
    def _added(self) -> dict[str, EntryPoint]:
        added: dict[str, EntryPoint] = {}
        for point in sorted(_points().get(self.group, ()), key=lambda point: point.name):
            if point.name in self._own or point.name in added:
                raise RequestError(
                    f"the package {_package(point)} adds a {self.kind} {point.name!r}, which there is already: "
                    "uninstall it, or have it rename its own"
                )
            added[point.name] = point
        return added

    def __iter__(self) -> Iterator[str]:
        yield from self._own
        yield from self._added

    def __len__(self) -> int:
        return len(self._own) + len(self._added)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (name in self._own or name in self._added)

    def __getitem__(self, name: str) -> T:
        if name not in self._loaded:
            self._loaded[name] = self._load(name)
        return self._loaded[name]

    def _load(self, name: str) -> T:
        if name in self._own:
            own = self._own[name]
            return cast(T, resolve_name(own)) if isinstance(own, str) else own
        point = self._added[name]
        try:
            return cast(T, point.load())
        except Exception as error:  # of somebody else's module: whatever it is, it must not look like ours
            raise RequestError(
                f"the {self.kind} {name!r} of the package {_package(point)} cannot be imported "
                f"({type(error).__name__}: {' '.join(str(error).split())}): mend it, or uninstall it"
            ) from error

    def find(self, name: str, place: str = "") -> T:
        """What a user's name stands for.

        Args:
            place: what the user would call it, as in `game.loss`; default: the kind.

        Raises:
            RequestError: there is none, with the nearest right name.
        """
        if name not in self:
            raise unknown_name(place or self.kind, name, self)
        return self[name]


def installed() -> list[str]:
    """The packages that add something, as `name==version`, sorted: they decide results as our own code does."""
    return sorted({_package(point) for points in _points().values() for point in points})


@cache
def _points() -> dict[str, tuple[EntryPoint, ...]]:
    found = entry_points()
    return {group: tuple(found.select(group=group)) for group in GROUPS}


def _package(point: EntryPoint) -> str:
    return f"{point.dist.name}=={point.dist.version}" if point.dist else point.value

"""The data sources: which kinds there are, and what is known of a source by its name alone. Light to import.

A source is written `kind` or `kind:rest`:

    mnist-5k  digits                      real digits that come inside installed packages
    torchvision:<Class>                   a data set of torchvision.datasets, downloaded by it
    toy:<name>                            drawn here, with everything about it known
    folder:<path>                         image files; sub-folders are classes
    zip:<path>                            the same, packed
    tar:<path>                            the same, or shards in WebDataset's convention
    lmdb:<path>                           LMDB, as LSUN comes
    parquet:<path>                        a file or folder in the convention of public data hubs
    npz:<path>                            NumPy arrays
    hdf5:<path>                           arrays in HDF5, as BigGAN's ILSVRC comes
    hf:<name>                             a data set of the public hub, or a folder that `datasets` saved

A path may be an address (`places.py`): s3://, gs://, https://. One that says its kind (`cats.zip`, a folder) needs none
before it. A kind is one `SourceKind` (`base.py`); ours are listed in `SOURCES`, packages add theirs.
"""

from contextlib import suppress
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from gan_models.data.sources.base import AS_IT_IS, Fields, SourceKind, SourceName
from gan_models.data.sources.base import SPLIT_NAMES as SPLIT_NAMES
from gan_models.data.sources.places import check_address, is_address, without_login
from gan_models.errors import RequestError, home_path, nearest
from gan_models.plugins import Registry

_HERE = "gan_models.data.sources"
SOURCES: Registry[SourceKind] = Registry(
    "kind of data source",
    "gan_pipeline.sources",
    {
        "mnist-5k": f"{_HERE}.embedded:MNIST_5K",
        "digits": f"{_HERE}.embedded:DIGITS",
        "torchvision": f"{_HERE}.torchvision:TORCHVISION",
        "toy": f"{_HERE}.toy:TOY",
        "folder": f"{_HERE}.paths:FOLDER",
        "zip": f"{_HERE}.paths:ZIP",
        "tar": f"{_HERE}.tar:TAR",
        "lmdb": f"{_HERE}.lmdb:LMDB",
        "parquet": f"{_HERE}.paths:PARQUET",
        "npz": f"{_HERE}.paths:NPZ",
        "hdf5": f"{_HERE}.hdf5:HDF5",
        "hf": f"{_HERE}.hub:HF",
    },
)


def forms() -> list[str]:
    """How a source of each kind is written: `digits`, `toy:<name>`, `folder:<path>`."""
    return [f"{name}:<{kind.rest}>" if kind.rest else name for name, kind in SOURCES.items()]


def parse_source(text: str, fields: Fields = AS_IT_IS) -> SourceName:
    """A source by its name, or by a path or address that says its kind; nothing is opened.

    Args:
        fields: what of it is read, and as what (`gan_models.recipes.schema.Data.fields`).

    Raises:
        RequestError: there is none of that name, with the nearest right spelling; columns are chosen, and its kind has
            none.
    """
    name, colon, rest = text.partition(":")
    kind = SOURCES.get(name)
    if kind is None or (colon and not kind.rest):
        if found := _recognised(text):
            return parse_source(f"{found}:{text}", fields)
        if is_address(text):
            check_address(text)
            kinds = ", ".join(f"{each}:" for each, its in SOURCES.items() if its.at_path)
            raise RequestError(f"{text} does not say what lies there: write one of {kinds} before it")
        guess = _guess(text)
        hint = f"did you mean {guess!r}? " if guess else ""
        raise RequestError(f"unknown data source {without_login(text)!r}: {hint}Known: {', '.join(forms())}")
    kind.check(text, rest)

    for option, value in fields.chosen().items():
        if option not in kind.chooses:
            those = [each for each in SOURCES if option in SOURCES[each].chooses]
            raise RequestError(
                f"data.{option}={value!r} says what is read of sources that have columns or arrays ({', '.join(those)}"
                f"), and not of {name}: leave it out"
            )
    return SourceName(name, rest, kind.path_of(rest), kind, fields)


def _recognised(text: str) -> str:
    """The kind of a path or address that stands alone, by what lies at the path or by the file's name; "" if none."""
    if is_address(text):
        return _kind_named(PurePosixPath(urlsplit(text).path).name)
    with suppress(OSError, RequestError):  # too long for a path, or of nobody's home
        if text and home_path(text).exists():
            return kind_at(home_path(text))
        return "" if ":" in text else _kind_named(PurePosixPath(text).name)
    return ""


def _kind_named(file: str) -> str:
    return next((kind for kind in SOURCES if SOURCES[kind].recognises_name(file)), "")


def _guess(text: str) -> str:
    """The nearest right spelling of an unknown source: a misspelt kind, a bare name."""
    name, _, rest = text.partition(":")
    if rest:
        near = nearest(name, [kind for kind in SOURCES if SOURCES[kind].rest])
        return without_login(f"{near}:{rest}") if near else ""
    bare = {kind: kind for kind in SOURCES if not SOURCES[kind].rest}
    bare |= {each: f"{kind}:{each}" for kind in SOURCES for each in SOURCES[kind].names}
    return bare.get(nearest(text, bare), "")


def kind_at(path: Path) -> str:
    """The kind of source that lies at a path, by what it looks like: `folder`, `parquet`, `npz`; "" where none does."""
    kinds = reversed(list(SOURCES))  # what asks less of a path comes first: any folder is one of image files
    return next((kind for kind in kinds if SOURCES[kind].recognises(path)), "")


def toys_with(what: str) -> list[str]:
    """The data sets by name, here without a download, whose images carry `labels`, `domains` or `captions`."""
    here = [f"{kind}:{name}" for kind, its in SOURCES.items() if not its.needs_network for name in its.names]
    return [text for text in here if what in parse_source(text).carried()]

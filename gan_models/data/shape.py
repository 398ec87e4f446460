"""What networks need to know of the data they are built for. Needs no PyTorch."""

from typing import NamedTuple


class DataShape(NamedTuple):
    """Sizes that a network's layers depend on."""

    image: tuple[int, int, int]
    """(C, H, W)."""
    classes: int = 0
    """Number of classes, 0 when unlabelled."""
    domains: int = 0
    """Number of domains, 0 where the data has none."""
    words: int = 0
    """Size of the captions' vocabulary, 0 where the data has none. Word numbers go from 1 to this and 0 is padding, so
    an embedding of words has `words + 1` rows."""
    vocabulary: tuple[str, ...] = ()
    """Those words, for encoders that know what words mean; word number i + 1 is `vocabulary[i]`."""
    attributes: int = 0
    """Number of attributes that an image has or has not, 0 where the data says nothing of such."""
    embedding: int = 0
    """Width of the embeddings that images carry in place of texts, 0 where they carry none."""

"""Half of a picture, where both halves are images: light to import, and to send to a decoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from PIL import Image


class Half(NamedTuple):
    """One half of a picture that is still to be opened."""

    item: bytes | str | Image.Image
    """As `gan_models.data.decoding.Item`."""
    side: Literal["left", "right"]

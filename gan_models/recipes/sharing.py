"""Which trainings several processes (ranks) can share."""

from __future__ import annotations

from gan_models.errors import RequestError

SHAREABLE = ("adversarial", "progressive")
"""Games whose state is equal on all ranks; the others keep image pools or stages of their own."""


def check_sharing(kind: str, batch_size: int, ranks: int) -> None:
    """Refuses what several processes cannot share.

    Raises:
        RequestError: a game with state of its own in each process, or a batch that does not divide.
    """
    if ranks > 1 and kind not in SHAREABLE:
        raise RequestError(
            f"training.ranks={ranks}: game.kind={kind} keeps state of its own in each process; set training.ranks=1"
        )
    if batch_size % ranks:
        raise RequestError(
            f"training.batch_size={batch_size} is the batch of all processes together and does not divide by "
            f"training.ranks={ranks}: use {batch_size // ranks * ranks or ranks}"
        )

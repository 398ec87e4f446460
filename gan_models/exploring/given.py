"""Pictures that somebody brings along, made into what a generator was trained on."""

from pathlib import Path

import torch

from gan_models.data.decoding import decode_batch
from gan_models.data.table import Split
from gan_models.errors import RequestError
from gan_models.sampling.generator import LoadedGenerator

MOST_BYTES = 20 * 2**20


def read_picture(path: Path, generator: LoadedGenerator) -> Split:
    """One image file, prepared as the training images were; it has no label and no domain.

    Raises:
        RequestError: it is larger than 20 MiB, or no image that can be read.
    """
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise RequestError(f"{path.name} has {size / 2**20:.0f} MiB: pictures of up to {MOST_BYTES >> 20} are taken")
    target = generator.target
    decoded = decode_batch([str(path)], target)
    for _, reason in decoded.reasons:
        raise RequestError(f"{path.name} cannot be used: {reason}")
    pixels = torch.frombuffer(bytearray(decoded.pixels), dtype=torch.uint8).reshape(1, *target.size, target.channels)
    return Split(pixels, None, [path.name])

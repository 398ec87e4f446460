"""A pool of generated images that D is shown once more (Shrivastava et al. 2017, section 2.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


class ImagePool:
    """Keeps `size` images; once it is full, half of the images asked about are swapped for kept ones.

    As in CycleGAN's public code: until it is full every image is kept and given back; afterwards, with probability 1/2,
    a random kept image is given back and the new one takes its place.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._images: list[Tensor] = []

    def query(self, images: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C, H, W], some of them older; random numbers from torch's global state on the CPU."""
        if not self.size:
            return images
        given = []
        for image in images.detach():
            if len(self._images) < self.size:
                self._images.append(image.clone())
                given.append(image)
            elif float(torch.rand(())) > 0.5:
                place = int(torch.randint(self.size, ()))
                given.append(self._images[place])
                self._images[place] = image.clone()
            else:
                given.append(image)
        return torch.stack(given) if given else images

    def state_dict(self) -> dict[str, Any]:
        return {"images": self._images}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._images = list(state["images"])

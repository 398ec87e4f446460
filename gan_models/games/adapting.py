"""The probability of augmentation that follows how much D overfits (Karras et al. 2020b, section 3.1)."""

from collections.abc import Mapping

import torch
from torch import Tensor

from gan_models import ranks
from gan_models.schedules import Adaptive


class Adaptation:
    """The probability p, and r = E sign D(x) of the real images since it last changed; equal on all ranks.

    All of it stays on the device, so that nobody waits for it.
    """

    def __init__(self, spec: Adaptive, device: torch.device) -> None:
        self.spec = spec
        self.probability = torch.zeros((), device=device)
        self._signs = torch.zeros(2, device=device)  # their sum, and how many

    @torch.no_grad()
    def look(self, real_logits: Tensor) -> None:
        """Takes in D's logits of real images as it was shown them."""
        signs = real_logits.detach().float().sign()
        self._signs[0] += signs.sum()
        self._signs[1] += signs.numel()

    @torch.no_grad()
    def follow(self, images: int) -> dict[str, Tensor]:
        """Changes p by the share that the real `images` since the last change are of a full rise; figures of it."""
        total, count = ranks.mean(self._signs)
        overfitting = total / count.clamp(min=1.0)
        step = (overfitting - self.spec.adaptive).sign() * (images / self.spec.full)
        # From below alone, as in the authors' code: above 1 it is as 1 is, but takes longer to come down.
        self.probability = (self.probability + step).clamp(min=0.0)
        self._signs = torch.zeros_like(self._signs)
        return {"D/sign_real": overfitting, "D/augmentation": self.probability}

    def state_dict(self) -> dict[str, Tensor]:
        return {"probability": self.probability, "signs": self._signs}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        self.probability, self._signs = state["probability"].clone(), state["signs"].clone()

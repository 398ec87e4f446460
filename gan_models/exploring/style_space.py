"""The styles of a generator with a mapping network, explored in the place of its latents: places are vectors w.

In W straight lines, sums and main directions mean what they seem to (Karras et al. 2019, section 4; Härkönen et al.
2020, "GANSpace", section 2.1): there is no shell that latents must stay on.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from gan_models.errors import RequestError
from gan_models.exploring.directions import COUNT, Directions, white_latents
from gan_models.exploring.latent_space import MOST_IMAGES, Grid, LatentSpace, Rows
from gan_models.families.interfaces import StyledGenerator
from gan_models.sampling.draws import Draws
from gan_models.sampling.generator import LoadedGenerator
from gan_models.sampling.latents import linear

_DRAWN = 4096  # styles that directions are found of
_ROUNDING = 1e-9


class StyleSpace(LatentSpace):
    """Of a generator that draws from styles."""

    thresholds: ClassVar[tuple[float | None, ...]] = (0.0, 0.3, 0.5, 0.7, 0.85, None)
    rows: ClassVar[tuple[Rows, ...]] = ("seeds", "truncation", "mixing")

    @property
    def module(self) -> StyledGenerator:
        module = self.generator.module
        assert isinstance(module, StyledGenerator)
        return module

    @cached_property
    def directions(self) -> Directions:
        """Principal components of w, each as long as the standard deviation along it; of the first condition."""
        latents = white_latents(max(_DRAWN, 2 * self.module.latent), self.module.latent, 0)
        styles = self._mapped(latents, self.first_condition).double()
        styles -= styles.mean(0)
        variances, components = torch.linalg.eigh(styles.T @ styles / len(styles))
        variances, components = variances.flip(0).clamp(min=0), components.flip(1).T
        kept = min(COUNT, int((variances > _ROUNDING * variances[0]).sum()))
        vectors = components[:kept] * variances[:kept, None].sqrt()
        largest = vectors.gather(1, vectors.abs().argmax(1, keepdim=True))
        return Directions("mapping", (vectors * largest.sign()).float(), (variances[:kept] / variances.sum()).float())

    @torch.inference_mode()
    def latents(self, seeds: Sequence[int], truncation: float | None = None, condition: str | None = None) -> Tensor:
        """Styles float32 [N, W] of the first latent that `sample` draws of each seed."""
        drawn = torch.cat([Draws(seed, 1).normal(self.module.latent) for seed in seeds])
        psi = None
        if truncation is not None:
            psi = self.module.truncated({}, truncation, Draws(0, len(drawn)))["psi"]
        return self._mapped(drawn, condition, psi)

    def images(self, latents: Tensor, conditions: Sequence[str | None]) -> Tensor:
        """uint8 [N, H, W, C] of styles [N, W], or of one for each layer [N, L, W]; they know their class already."""
        self._conditioned(conditions)
        styles = latents if latents.dim() == 3 else latents[:, None].expand(-1, self.module.layers, -1)
        return self.generator.synthesize({"styles": styles}).images

    def grid(
        self, seed: int, columns: int, rows: Rows, number: int, condition: str | None, truncation: float | None
    ) -> Grid:
        """As of any latents; or, `mixing`, each column's seed at the coarse layers and each row's at the fine ones.

        The seeds of rows go on where those of the columns end (Karras et al. 2019, figure 3).
        """
        if rows != "mixing":
            return super().grid(seed, columns, rows, number, condition, truncation)
        if not (columns >= 1 and number >= 1 and columns * number <= MOST_IMAGES):
            raise RequestError(f"{columns} x {number} images: expected from 1 to {MOST_IMAGES}")
        every = self.latents(range(seed, seed + columns + number), truncation, condition)
        coarse, fine = every[:columns].repeat(number, 1), every[columns:].repeat_interleave(columns, 0)
        images = self.images(self.mixed(coarse, fine), [condition] * len(coarse))
        return Grid(images, columns, tuple(f"{seed + columns + row}" for row in range(number)))

    def mixed(self, coarse: Tensor, fine: Tensor) -> Tensor:
        """[N, L, W]: one w [N, W] for the first half of the layers, the other for the rest."""
        layers = self.module.layers
        first = (torch.arange(layers) < layers // 2)[:, None]
        return torch.where(first, coarse[:, None], fine[:, None])

    def walk(self, start: Tensor, end: Tensor, steps: int) -> Tensor:
        if not 2 <= steps <= MOST_IMAGES:
            raise RequestError(f"{steps} steps: expected from 2 to {MOST_IMAGES}")
        return linear(start, end, steps)

    def combined(self, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
        return a - b + c

    @torch.inference_mode()
    def _mapped(self, latents: Tensor, condition: str | None, psi: Tensor | None = None) -> Tensor:
        """w [N, W] on the CPU."""
        device = self.generator.device
        rows = self._conditioned([condition if condition is not None else self.first_condition] * len(latents))
        labels = rows["labels"].to(device) if rows else None
        psi = None if psi is None else psi.to(device)
        return self.module.styles(latents.to(device), labels, psi)[:, 0].cpu()


def space_of(generator: LoadedGenerator) -> LatentSpace:
    """What there is to explore of a generator that draws from latents."""
    return StyleSpace(generator) if isinstance(generator.module, StyledGenerator) else LatentSpace(generator)

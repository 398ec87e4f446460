"""Distributions of points in the plane that are known exactly: what a model missed can be counted. Needs no PyTorch.

Shapes: N points, M modes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import cos, erf, pi, sin, sqrt

import numpy as np


@dataclass(frozen=True)
class Mixture:
    """M equally likely round Gaussians."""

    name: str
    centres: tuple[tuple[float, float], ...]
    deviation: float  # standard deviation of each mode along each axis

    def draw(self, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Points float32 [N, 2] and the mode that each was drawn from, int64 [N]; a pure function of the arguments."""
        stream = np.random.default_rng([seed, len(self.centres)])
        modes = stream.integers(len(self.centres), size=count)
        noise = self.deviation * stream.standard_normal((count, 2))
        return (np.asarray(self.centres)[modes] + noise).astype(np.float32), modes

    def density(self, points: np.ndarray) -> np.ndarray:
        """The probability density at points [N, 2], float64 [N]."""
        squares = self._offsets(points) ** 2
        exponents = -squares.sum(2) / (2 * self.deviation**2)
        return np.asarray(np.exp(exponents).mean(1) / (2 * pi * self.deviation**2))

    def nearest(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The closest mode of each point, int64 [N], and its distance in standard deviations, float64 [N]."""
        distances = np.sqrt((self._offsets(points) ** 2).sum(2)) / self.deviation
        modes = distances.argmin(1)
        return modes, distances[np.arange(len(points)), modes]

    def masses(self, edges: Sequence[float]) -> np.ndarray:
        """The exact probability of each square of the bins between `edges` along both axes, float64 [bins, bins]."""
        along_x, along_y = (
            np.array([self._masses_along(centre[axis], edges) for centre in self.centres]) for axis in (0, 1)
        )
        return np.asarray(np.einsum("mx,my->xy", along_x, along_y) / len(self.centres))

    def _masses_along(self, centre: float, edges: Sequence[float]) -> list[float]:
        """Probability of each interval between `edges` under one mode, along one axis."""
        below = [0.5 * (1.0 + erf((edge - centre) / (self.deviation * sqrt(2)))) for edge in edges]
        return [high - low for low, high in pairwise(below)]

    def _offsets(self, points: np.ndarray) -> np.ndarray:
        """From each centre to each point, float64 [N, M, 2]."""
        offsets: np.ndarray = np.asarray(points, np.float64)[:, None, :] - np.asarray(self.centres)[None, :, :]
        return offsets


RING = Mixture("ring", tuple((2 * cos(turn * pi / 4), 2 * sin(turn * pi / 4)) for turn in range(8)), 0.02)
"""Eight modes on a circle of radius 2 (Metz et al. 2017, "Unrolled generative adversarial networks", section 3.1)."""
GRID = Mixture("grid", tuple((2.0 * column, 2.0 * row) for row in range(-2, 3) for column in range(-2, 3)), 0.05)
"""Twenty-five modes two apart (Srivastava et al. 2017, "VEEGAN", section 4.1)."""

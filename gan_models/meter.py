"""Means of figures that are measured now and then, read only when somebody looks."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from gan_models import ranks


class Meter:
    """Sums of 0-d tensors by name, each divided by how often it was measured and by nothing else."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}

    def add(self, values: Mapping[str, Tensor]) -> None:
        """Takes in a measurement; nothing waits for the device."""
        for name, value in values.items():
            self.sums[name] = self.sums[name] + value if name in self.sums else value
            self.counts[name] = self.counts.get(name, 0) + 1

    def means(self) -> dict[str, Tensor]:
        """Each figure's mean over the times that it was measured."""
        return {name: value / self.counts[name] for name, value in self.sums.items()}

    def clear(self) -> None:
        """Forgets everything."""
        self.sums, self.counts = {}, {}

    def average_ranks(self) -> None:
        """Replaces the sums by their means over the processes that train together; all must call it."""
        self.sums = ranks.averaged(self.sums)

    def state_dict(self) -> dict[str, Any]:
        return {"sums": self.sums, "counts": self.counts}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.sums, self.counts = dict(state["sums"]), dict(state["counts"])

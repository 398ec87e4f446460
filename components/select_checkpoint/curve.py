"""The figure of a selection: score by step, what was chosen and what was refused."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator


def write_curve(
    path: Path,
    *,
    steps: Sequence[int],
    scores: Sequence[float],
    collapsed: Sequence[bool],
    best: int,
    metric: str,
    better: str,
    references: int,
) -> None:
    """Writes the curve as PNG; all sequences have one entry for each checkpoint, in the order of steps."""
    figure = Figure(figsize=(6.4, 3.6), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    points = list(zip(steps, scores, collapsed, strict=True))
    alive = [(step, score) for step, score, bad in points if not bad]
    refused = [(step, score) for step, score, bad in points if bad and math.isfinite(score)]
    axes.plot(*zip(*alive, strict=True), "o-", color="#33638d", label="checkpoints")
    if refused:
        axes.plot(*zip(*refused, strict=True), "x", color="#c0392b", markersize=9, mew=2, label="collapsed, refused")
    chosen = dict(alive)[best]
    axes.plot(best, chosen, "*", color="#e08e0b", markersize=17, label=f"chosen: step {best}, {chosen:.3g}")
    if min(score for _, score in alive + refused) > 0:
        axes.set_yscale("log")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("training step")
    axes.set_ylabel(metric)
    # Small samples raise every point of the curve by about the same: good to compare by, no value to quote.
    axes.set_title(f"{better} is better; compare within the curve only ({references} real images)", fontsize=9)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(path)

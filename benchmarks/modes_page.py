"""`docs/modes.md` and its figure, written from the measurements of `benchmarks/modes.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

Result = dict[str, Any]
"""One contestant on one mixture: a list of figures by seed, and some points to look at."""
Rows = Mapping[str, Result]
"""Results of one mixture by contestant, in the order of the tables."""

COLUMNS = 5
POINTS = 600
NOISE = 2.0
"""Differences below this many standard errors are none."""
CLAIMS = (
    ("The Wasserstein game with a gradient penalty covers what minimax drops (Gulrajani et al. 2017)",
     "wasserstein + gradient penalty", "minimax"),
    ("The penalty is better than clipping the critic's weights (Gulrajani et al. 2017)",
     "wasserstein + gradient penalty", "wasserstein, clipped"),
    ("Minibatch discrimination works against collapse (Salimans et al. 2016)",
     "non-saturating + minibatch discrimination", "minimax"),
    ("The same, all else equal", "non-saturating + minibatch discrimination", "non-saturating"),
    ("Minibatch standard deviation does so more simply (Karras et al. 2018)",
     "non-saturating + minibatch deviation", "non-saturating"),
    ("Spectral norm with hinge is more stable than plain minimax (Miyato et al. 2018)",
     "hinge + spectral norm", "minimax"),
    ("The same, all else equal", "hinge + spectral norm", "hinge"),
    ("The non-saturating loss learns faster than minimax (Goodfellow et al. 2014)", "non-saturating", "minimax"),
    ("Least squares is more stable than cross entropy (Mao et al. 2017)", "least-squares", "non-saturating"),
    ("Feature matching helps where training is unstable (Salimans et al. 2016)",
     "non-saturating + feature matching", "non-saturating"),
    ("Historical averaging finds equilibria that gradient descent misses (Salimans et al. 2016)",
     "non-saturating + historical averaging", "non-saturating"),
    ("One-sided label smoothing helps (Salimans et al. 2016)", "non-saturating + label smoothing", "non-saturating"),
    ("DRAGAN's penalty around the data finds more modes (Kodali et al. 2017)",
     "non-saturating + DRAGAN", "non-saturating"),
    ("A zero-centred penalty generalises and covers more (Thanh-Tung et al. 2019)",
     "non-saturating + zero-centred penalty", "non-saturating"),
    ("R1 makes training converge (Mescheder et al. 2018)", "non-saturating + R1", "non-saturating"),
    ("R2 does so too (Mescheder et al. 2018)", "non-saturating + R2", "non-saturating"),
    ("Pairing real with generated drops fewer modes (Sun et al. 2020)", "relativistic", "non-saturating"),
    ("With R1 and R2 it converges besides (Huang et al. 2024)", "relativistic + R1 + R2", "relativistic"),
)  # fmt: skip
"""What the literature says: a sentence, and the contestants that it compares, the better one first."""
INTRODUCTION = """# Which games and techniques find all modes

Two mixtures of round Gaussians that are known exactly, and the same small multilayer perceptrons for every game and
every technique of the project against collapse. Written by `benchmarks/modes.py` from its measurements.

![{points} samples of the first seed of each](images/modes.png)

Equal for all: two hidden layers of {width} in both players, no normalisation, {latent} latents, batches of {batch};
{lengths}, falling to zero over the second half; Adam with betas (0.5, 0.9); one discriminator step for each generator
step, {critic} in the Wasserstein games; {seeds} seeds; last weights, no moving average. The modes have a standard
deviation of {deviation:g}, wider than in the papers that the mixtures come from (0.02 and 0.05), because this training
is far shorter than theirs. The gradient penalties weigh {penalty:g}; no setting was tuned for one contestant. All
trainings together took {minutes:.0f} minutes of one busy core (torch {torch}).

- **modes found**: a mode counts when the good samples nearest to it are at least {found:.0%} of its fair share of all
  samples (1.25 % of them on the ring, 0.4 % on the grid).
- **good samples**: within three standard deviations of a mode's centre, as 98.9 % of the data are.
- **total variation**, **KL** (the data's divergence from the model) and **Jensen-Shannon**, the latter two in nats:
  between the data's exact probabilities and {samples:,} samples on {bins} x {bins} bins; for KL half a sample is added
  to each bin, or it would be infinite wherever a model leaves one empty.
- **earth mover's**: the exact best matching of {matched:,} samples with as many of the data.

Figures are means over the seeds, distances with their standard deviation. The first row, the data drawn again, is what
a perfect model would get: the distances of finite samples are not zero."""
CLAIMS_TITLE = "## What the literature says, and what was seen here"
LIMITS = """A claim *holds* here when one of the three figures is better by more than two standard errors of the
difference and none is worse by as much, *does not hold* the other way round, and is *mixed* when they contradict each
other.

What is compared is how far each gets in a short training, not where it would end: most have found the circle or the
lattice and still put samples on the bridges between the modes, and what slows D down (spectral norm, clipping, DRAGAN)
is paid for here without time to pay back. Points in the plane are not images either. Each paper's own settings, and
longer training, would serve each contestant better than the common ones do."""


def write_pages(
    results: Sequence[Result],
    order: Sequence[str],
    reaches: Mapping[str, float],
    setting: Mapping[str, Any],
    folder: Path,
) -> None:
    """Writes `modes.md` and `images/modes.png` below `folder`.

    Args:
        order: of the contestants; the first is the data itself.
        reaches: half the side of the figure's frames, by mixture.
        setting: what the introduction tells.
    """
    found = {(each["mixture"], each["name"]): each for each in results}
    tables = {
        mixture: {name: found[mixture, name] for name in order if (mixture, name) in found} for mixture in reaches
    }
    tables = {mixture: rows for mixture, rows in tables.items() if rows}
    minutes = sum(each["seconds"] for each in results) / 60
    sections = [INTRODUCTION.format(**setting, minutes=minutes, points=POINTS, torch=results[0]["torch"])]
    sections += [f"## The {mixture}\n\n{_table(rows, order[0])}" for mixture, rows in tables.items()]
    sections += [CLAIMS_TITLE, _claims(tables), LIMITS]
    (folder / "images").mkdir(parents=True, exist_ok=True)
    (folder / "modes.md").write_text("\n\n".join(sections) + "\n", encoding="utf-8")
    _draw(tables, order, reaches, folder / "images/modes.png")


def _values(result: Result, figure: str) -> np.ndarray:
    """One figure of every seed."""
    return np.array([seed[figure] for seed in result["seeds"]], np.float64)


def _table(rows: Rows, data: str) -> str:
    titles = ("contestant", "modes found", "good", "total variation", "KL", "Jensen-Shannon", "earth mover's")
    lines = [f"| {' | '.join(titles)} |", "| --- " * len(titles) + "|"]
    for name, result in rows.items():
        modes = _values(result, "modes")
        cells = ["*the data, drawn again*" if name == data else name]
        cells.append(f"{modes.mean():.1f} ({modes.min():.0f} to {modes.max():.0f})")
        cells.append(f"{100 * _values(result, 'good').mean():.0f} %")
        for figure in ("tv", "kl", "js", "em"):
            values = _values(result, figure)
            cells.append(f"{values.mean():.2f} +- {values.std():.2f}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _claims(tables: Mapping[str, Rows]) -> str:
    titles = ("claim", "compared", *(f"{mixture}: modes, good, earth mover's" for mixture in tables))
    lines = [f"| {' | '.join(titles)} |", "| --- " * len(titles) + "|"]
    for claim, better, worse in CLAIMS:
        if all(better in rows and worse in rows for rows in tables.values()):
            cells = [_comparison(rows[better], rows[worse]) for rows in tables.values()]
            lines.append(f"| {claim} | {better} against {worse} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _comparison(better: Result, worse: Result) -> str:
    """The means of both, and what they say of the claim."""
    shown, signs = [], set()
    for figure, sign, form in (("modes", 1, ".1f"), ("good", 1, ".0%"), ("em", -1, ".2f")):
        one, other = _values(better, figure), _values(worse, figure)
        error = ((one.var(ddof=1) + other.var(ddof=1)) / len(one)) ** 0.5
        gain = sign * (one.mean() - other.mean())
        signs.add(int(np.sign(gain)) if abs(gain) > NOISE * error else 0)
        shown.append(f"{one.mean():{form}} against {other.mean():{form}}")
    if {-1, 1} <= signs:
        verdict = "mixed"
    elif 1 in signs:
        verdict = "**holds**"
    elif -1 in signs:
        verdict = "**does not hold**"
    else:
        verdict = "no clear difference"
    return f"{verdict}: {', '.join(shown)}"


def _draw(tables: Mapping[str, Rows], order: Sequence[str], reaches: Mapping[str, float], path: Path) -> None:
    """Samples of each contestant's first seed."""
    names = [name for name in order if any(name in rows for rows in tables.values())]
    lines = -(-len(names) // COLUMNS)
    figure = Figure(figsize=(2.2 * COLUMNS, 2.5 * lines * len(tables)), dpi=80)
    FigureCanvasAgg(figure)
    panels = figure.subplots(lines * len(tables), COLUMNS, squeeze=False)
    for panel in panels.flat:
        panel.set_axis_off()
    for block, (mixture, rows) in enumerate(tables.items()):
        reach = reaches[mixture]
        for place, name in enumerate(names):
            if name not in rows:
                continue
            panel = panels[block * lines + place // COLUMNS][place % COLUMNS]
            x, y = np.array(rows[name]["points"]).T
            panel.set_axis_on()
            panel.scatter(x, y, s=1.5, linewidths=0, color="#1f5fa8")
            modes, good = _values(rows[name], "modes").mean(), _values(rows[name], "good").mean()
            title = name.replace(" + ", "\n+ ", 1)
            panel.set_title(f"{title}\n{modes:.1f} modes, {good:.0%} good", fontsize=7)
            panel.set(xlim=(-reach, reach), ylim=(-reach, reach), xticks=[], yticks=[], aspect="equal")
    figure.tight_layout()
    figure.savefig(path)

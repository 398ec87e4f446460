"""Runs beside each other: which of their figures compare, what else they differ in, and which is the best.

A run is named by its work directory, by its name, or by its id (ours or the tracker's); of several of one name the
newest is meant.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from components.artifacts import GRID_FILE, Figures
from components.evaluate_gan.findings import Findings
from components.stage.stage import flatten
from components.tracking.backend import tracker_of
from gan_models.errors import RequestError, RunError, unknown_name
from gan_models.files import RECIPE_FILE
from gan_models.metrics.metric import Metric
from gan_models.metrics.protocol import Protocol
from gan_models.metrics.scores import METRICS, deciding, figure_of
from pipeline.workdir import WorkDirectory

if TYPE_CHECKING:
    from components.tracking.backend import TrackedRun

MOST_SETTINGS = 12
"""That differ, in a table on a terminal; the page and JSON have all."""


@dataclass(frozen=True)
class Compared:
    """A run that was judged."""

    name: str
    when: str
    settings: Mapping[str, str]
    """The recipe's leaves and the seed."""
    figures: Mapping[str, float]
    headline: Sequence[str]
    """Keys of the figures that go first."""
    protocol: Protocol
    real: Mapping[str, float]
    """Figures of real images in the generator's place, by the generator's keys."""
    step: int
    grid: bytes | None
    """PNG of its samples."""


def find_runs(names: Sequence[str], uri: str, pictures: bool) -> list[Compared]:
    """The runs of these names, in their order, with their pictures where these are wanted.

    Raises:
        RequestError: there is no such run, with the nearest right name, or it has no figures.
        RunError: the tracking store does not answer.
    """
    tracked: list[TrackedRun] | None = None
    found = []
    for name in names:
        if Path(name).is_dir():
            found.append(_of_workdir(Path(name)))
            continue
        if tracked is None:
            tracker_of(uri).check_exists(uri)
            tracked = tracker_of(uri).runs(uri)
        found.append(_of_store(_named(name, tracked), uri, pictures))
    return found


def runs_of_experiment(experiment: str, uri: str, pictures: bool) -> tuple[list[Compared], list[str]]:
    """The runs of an experiment that have figures, newest first, and the names of those that have none.

    Raises:
        RequestError: there is no such experiment.
        RunError: the tracking store does not answer.
    """
    tracker_of(uri).check_exists(uri)
    found, without = [], []
    for run in tracker_of(uri).runs(uri, experiment):
        try:
            found.append(_of_store(run, uri, pictures))
        except RequestError:  # nothing of it compares, and it is said
            without.append(f"{run.name} ({run.status})")
    return found, without


def _named(name: str, runs: Sequence[TrackedRun]) -> TrackedRun:
    for run in runs:
        if name in (run.name, run.run_id, run.tracker_id):
            return run
    if not runs:
        raise RequestError(f"{name}: there is no such folder, and no run is tracked yet")
    raise unknown_name("run", name, {run.name for run in runs})


def _of_workdir(folder: Path) -> Compared:
    workdir = WorkDirectory(folder.resolve())
    record = workdir.record()
    if record is None:
        raise RequestError(f"{folder} is no work directory of gan-pipeline: there is no run.json in it")
    try:
        findings = Findings.read(workdir.results / "evaluation")
    except RunError:
        raise RequestError(f"{folder}: this run has no figures ({record.status}): finish it first") from None
    from gan_models.recipes.loading import load_recipe

    samples = workdir.results / "samples"
    document = load_recipe(str(samples / RECIPE_FILE)).model_dump(mode="json")
    settings = {name: _text(value) for name, value in flatten({**document, "seed": record.seed}).items()}
    return _compared(record.name, record.started, settings, findings, (samples / GRID_FILE).read_bytes())


def _of_store(run: TrackedRun, uri: str, pictures: bool) -> Compared:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if tracker_of(uri).fetch(uri, run, Figures.FILE, folder) is None:
            raise RequestError(
                f"run {run.name} has no figures on its page ({run.status}): it has not been evaluated, or by a version "
                "from before figures had protocols; run it again"
            )
        try:
            findings = Findings.read(folder)
        except RunError as error:
            raise RequestError(
                f"figures of run {run.name} are those of another version: {error}; run it again"
            ) from None
        grid = tracker_of(uri).fetch(uri, run, GRID_FILE, folder) if pictures else None
        pixels = grid.read_bytes() if grid else None
    return _compared(run.name, run.started.isoformat(timespec="seconds"), run.settings, findings, pixels)


def _compared(name: str, when: str, settings: Mapping[str, str], findings: Findings, grid: bytes | None) -> Compared:
    return Compared(
        name=name,
        when=when,
        settings=settings,
        figures=findings.metrics,
        headline=findings.headline,
        protocol=findings.protocol,
        real={row.generated.name: row.real.value for _, row in findings.lines() if row.real is not None},
        step=int(findings.generated["step"]),
        grid=grid,
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def groups(runs: Iterable[Compared]) -> list[list[Compared]]:
    """The runs by protocol, in their order: within each list figures compare. The largest list goes first."""
    by_digest: dict[str, list[Compared]] = {}
    for run in runs:
        by_digest.setdefault(run.protocol.digest, []).append(run)
    return sorted(by_digest.values(), key=len, reverse=True)


def ranked(runs: list[Compared]) -> list[Compared]:
    """By the figure that all have and that generators are chosen by, best first; as they are where there is none."""
    key = deciding_key(runs)
    metric = metric_of(key)
    return sorted(runs, key=lambda run: metric.distance(run.figures[key])) if metric else list(runs)


def deciding_key(runs: Sequence[Compared]) -> str:
    """Of the figures that all of them have, the one that generators are chosen by; "" where there is none."""
    return deciding([key for key in runs[0].figures if all(key in run.figures for run in runs)])


def metric_of(key: str) -> Metric | None:
    """The metric that a figure is of."""
    return next((metric for name, metric in METRICS.items() if figure_of(name, [key])), None)


def best_of(key: str, runs: Sequence[Compared]) -> Compared | None:
    """Which of several comparable runs is the best by a figure; None where that cannot be said."""
    metric, having = metric_of(key), [run for run in runs if key in run.figures]
    if metric is None or len(having) < 2:
        return None
    distances = [metric.distance(run.figures[key]) for run in having]
    return having[distances.index(min(distances))] if distances.count(min(distances)) == 1 else None


def keys_of(runs: Sequence[Compared]) -> list[str]:
    """What a reader looks for of any of them, each once."""
    return list(dict.fromkeys(key for run in runs for key in run.headline))


def differing(runs: Sequence[Compared]) -> dict[str, list[str]]:
    """The settings that are not the same in all, with the value of each run ("" where it has none)."""
    names = dict.fromkeys(name for run in runs for name in run.settings)
    values = {name: [run.settings.get(name, "") for run in runs] for name in names}
    return {name: said for name, said in values.items() if len(set(said)) > 1}


def incomparable(runs: Sequence[Compared]) -> list[str]:
    """A sentence for each run whose figures do not compare with those of the first."""
    first = runs[0]
    return [
        f"figures of {run.name} do not compare with those of {first.name}: {difference}"
        for run in runs[1:]
        if (difference := run.protocol.difference(first.protocol))
    ]

"""Compares the challenger with the recipe's floors, then with the champion: same data, extractor, number, latents."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from components.artifacts import Champion, Comparison, Figures
from components.stage.request import StageRequest
from components.stage.stage import Stage
from components.tracking.champions import GENERATOR_FOLDER
from gan_models.atomic import new_folder
from gan_models.errors import RequestError
from gan_models.metrics.floors import shortfalls
from gan_models.metrics.locations import default_cache
from gan_models.recipes.schema import Evaluation

if TYPE_CHECKING:
    from gan_models.metrics.bootstrap import Difference
    from gan_models.metrics.extraction import Extracted

# Other draws than the checkpoint was selected by, as in the evaluation: its figure is met again here.
_NOT_THE_SELECTION = 1


class Request(StageRequest):
    """Who against whom, judged how."""

    challenger: Path
    champion: Path
    dataset: Path
    report: Path  # the folder of evaluate_gan: the challenger's figures
    evaluation: Evaluation
    output: Path
    cache_dir: Path = Field(default_factory=default_cache)
    seed: int


def run(request: Request, stage: Stage) -> Comparison:
    """Measures both and decides; RequestError where the challenger does not fit the data, or images are too few."""
    champion = Champion.read(request.champion)
    if short := shortfalls(request.evaluation.floors, Figures.read(request.report).metrics):
        result = Comparison(promote=False, reason=short, champion=champion.version)
    elif champion.version:
        result = _compare(request, champion.version, stage)
    else:
        result = Comparison(promote=True, reason=f"{champion.model} has no champion: this is the first", champion="")
    with new_folder(request.output) as target:
        result.write(target)
    stage.log_metrics(result.figures)
    stage.log_artifact(request.output / Comparison.FILE)
    stage.note(result.reason)
    return result


def _compare(request: Request, version: str, stage: Stage) -> Comparison:
    from gan_models.data.table import ImageTable
    from gan_models.metrics.bootstrap import difference, resamples_for
    from gan_models.metrics.judge import Judge, reference_split
    from gan_models.metrics.metric import Comparison as Compared
    from gan_models.metrics.scores import METRICS, chosen_by

    table = ImageTable.open(request.dataset)
    judge = Judge.for_table(table, request.evaluation, cache=request.cache_dir, bars=stage.progress)
    stage.log_params({"evaluation": request.evaluation, "seed": request.seed, "champion": version})
    split = reference_split(table.metadata, "test")
    wanted, seed = request.evaluation.samples, request.seed + _NOT_THE_SELECTION
    reference = judge.real(split, wanted)

    def features(folder: Path) -> Extracted:
        return judge.generated(judge.draw(folder, split, wanted, seed)[1])

    challenger = features(request.challenger)
    try:
        champion = features(request.champion / GENERATOR_FOLDER)
    except RequestError as error:  # of other classes, say: there is nothing to measure it by
        reason = (
            f"not compared with it: the champion, version {version}, cannot be judged on this data ({error}); promote "
            "by hand if it is due"
        )
        return Comparison(promote=False, reason=reason, champion=version)
    seen = Compared(challenger, reference, own_classes=judge.knows_classes, k=request.evaluation.neighbours)
    name = chosen_by(seen)
    with stage.progress("bootstrap", resamples_for(reference.features.shape[1])) as bar:
        found = difference(METRICS[name], seen, champion, seed=request.seed, report=bar.advance)
    metric = judge.name(name, len(challenger), split)
    return Comparison(
        promote=found.high < 0,
        reason=_reason(metric, found, version),
        champion=version,
        metric=metric,
        figures={
            "challenger": found.first,
            "champion": found.second,
            "difference": found.value,
            "low": found.low,
            "high": found.high,
            "resamples": float(found.resamples),
        },
    )


def _reason(metric: str, found: Difference, version: str) -> str:
    figures = (
        f"{metric} {found.first:.4g} against {found.second:.4g} of the champion, version {version}: "
        f"a difference of {found.value:+.3g}, 95 % interval {found.low:+.3g} to {found.high:+.3g}"
    )
    if found.high < 0:
        return f"better than the champion beyond noise ({figures})"
    if found.low > 0:
        return f"worse than the champion ({figures})"
    return f"no better than the champion beyond noise ({figures})"

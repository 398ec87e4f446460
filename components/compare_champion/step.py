"""Compares the challenger with the recipe's floors, then with the champion: same data, extractor, number, latents.

A distance that is shorter beyond noise is not enough where real images are lost for it: recall has to hold.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

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
_RECALL_LOST = 0.05  # the part of the champion's recall that a better distance may cost
_QUANTILE_95 = 1.959964


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
        result = _compare(request, champion, stage)
    else:
        result = Comparison(promote=True, reason=f"{champion.model} has no champion: this is the first", champion="")
    with new_folder(request.output) as target:
        result.write(target)
    stage.log_metrics(result.figures)
    stage.log_artifact(request.output / Comparison.FILE)
    stage.note(result.reason)
    return result


def _compare(request: Request, held: Champion, stage: Stage) -> Comparison:
    from gan_models.data.table import ImageTable
    from gan_models.metrics.bootstrap import confidence_of, difference, resamples_for
    from gan_models.metrics.judge import Judge, reference_split
    from gan_models.metrics.metric import Comparison as Compared
    from gan_models.metrics.scores import METRICS, chosen_by

    version = held.version
    # As many lost against it before: with each night more chance would make one of them win.
    withstood = sum(each.decision == "kept" and each.against == version for each in held.judged)
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
        found = difference(
            METRICS[name],
            seen,
            champion,
            seed=request.seed,
            confidence=confidence_of(withstood + 1),
            report=bar.advance,
        )
    recall = _recall(challenger, champion, reference, request.evaluation.neighbours)
    metric = judge.key(name)
    lost = recall is not None and recall.lost
    return Comparison(
        promote=found.high < 0 and not lost,
        reason=_reason(metric, found, version, withstood, recall),
        champion=version,
        metric=metric,
        protocol=judge.protocol(seen, split),
        figures={
            "challenger": found.first,
            "champion": found.second,
            "difference": found.value,
            "low": found.low,
            "high": found.high,
            "confidence": found.confidence,
            "resamples": float(found.resamples),
            **({} if recall is None else {"challenger_recall": recall.challenger, "champion_recall": recall.champion}),
        },
    )


class _Recall(NamedTuple):
    challenger: float
    champion: float
    lost: bool  # beyond noise, and by more than `_RECALL_LOST`


def _recall(challenger: Extracted, champion: Extracted, reference: Extracted, k: int) -> _Recall | None:
    """Of both, by the same real images; None where there are too few images for it."""
    from gan_models.metrics.neighbours import recalled

    if min(len(challenger), len(champion), len(reference)) <= 2 * k:
        return None
    ours, theirs = (recalled(each.features, reference.features, k=k).double() for each in (challenger, champion))
    paired = ours - theirs
    error = float(paired.std()) / len(paired) ** 0.5
    highest = float(paired.mean()) + _QUANTILE_95 * error
    lost = highest < 0 and float(ours.mean()) < (1 - _RECALL_LOST) * float(theirs.mean())
    return _Recall(float(ours.mean()), float(theirs.mean()), lost)


def _reason(metric: str, found: Difference, version: str, withstood: int, recall: _Recall | None) -> str:
    nth = f" after {withstood} that it withstood" if withstood else ""
    figures = (
        f"{metric} {found.first:.4g} against {found.second:.4g} of the champion, version {version}: a difference of "
        f"{found.value:+.3g}, {100 * found.confidence:.4g} % interval {found.low:+.3g} to {found.high:+.3g}{nth}"
    )
    if found.high < 0 and recall is not None and recall.lost:
        return (
            f"nearer than the champion, but it draws less of what there is: recall {recall.challenger:.3g} against "
            f"{recall.champion:.3g} ({figures})"
        )
    if found.high < 0:
        return f"better than the champion beyond noise ({figures})"
    if found.low > 0:
        return f"worse than the champion ({figures})"
    return f"no better than the champion beyond noise ({figures})"

"""Fetches the champion from the registry: its generator folder, with what it was made from."""

from pathlib import Path

from components.artifacts import Champion, Judged
from components.stage.request import StageRequest
from components.stage.stage import Stage
from components.tracking.backend import champions_of
from components.tracking.champions import GENERATOR_FOLDER, Champions, Lineage, Version, now, with_alias
from gan_models.atomic import new_folder
from gan_models.errors import RequestError
from gan_models.metrics.floors import shortfalls
from gan_models.metrics.scores import deciding
from gan_models.recipes.schema import Evaluation


class Request(StageRequest):
    """Whose champion, and where it goes."""

    model_name: str
    evaluation: Evaluation
    output: Path  # folder to write: champion.json and, where there is a champion, generator/


def run(request: Request, stage: Stage) -> Champion:
    """Downloads the champion, if there is one. Without, the best of what is registered becomes it first.

    Raises:
        RequestError: nothing is tracked, or nothing that keeps models, so there is no registry.
        RunError: the tracking store does not answer.
    """
    registry = champions_of(stage.context.tracking_uri)
    versions = registry.versions(request.model_name)
    if with_alias(versions) is None:
        reaching = [v for v in versions if not shortfalls(request.evaluation.floors, v.verdict.figures)]
        if len(reaching) < len(versions):
            passed_over = len(versions) - len(reaching)
            stage.note(f"{passed_over} of {len(versions)} registered versions do not reach the recipe's floors")
        if best := _best(registry, reaching, stage.context.run_id):
            _crown(registry, best, stage)
            versions = registry.versions(request.model_name)
    champion = _champion(versions, stage.context.run_id)
    with new_folder(request.output) as target:
        result = Champion(model=request.model_name)
        if champion is not None:
            if not registry.download_generator(champion, target / GENERATOR_FOLDER):
                raise RequestError(
                    f"the champion, version {champion.version} of {request.model_name}, is no generator of "
                    "gan-pipeline: give the alias to one with `gan-pipeline models promote`"
                )
            result.version, result.lineage = champion.version, Lineage.of_folder(target / GENERATOR_FOLDER)
        result.judged = _judged(registry, versions, result.version)
        result.write(target)
    stage.note(f"version {result.version} of {result.model}" if result.version else f"{result.model} has none yet")
    return result


def _best(registry: Champions, versions: list[Version], run_id: str) -> Version | None:
    """The one to beat where none has the alias: of the newest one's data, by the figure that generators are chosen by.

    The newest where it has no such figure. This run's own is out, and what was taken back.
    """
    left = [v for v in versions if v.run_id != run_id and v.verdict.decision != "rolled back"]
    newest = next((v for v in left if registry.lineage(v)), None)
    figure = deciding(newest.verdict.known) if newest else ""
    if newest is None or newest.lineage is None or not figure:
        return newest
    data, alike = newest.lineage.data_fingerprint, newest.verdict.protocol
    of_the_data = [v for v in left if v.lineage and v.lineage.data_fingerprint == data and figure in v.verdict.known]
    rivals = [v for v in of_the_data if v.verdict.protocol == alike]
    return min(rivals, key=lambda v: v.verdict.known[figure])


def _crown(registry: Champions, best: Version, stage: Stage) -> None:
    """A first retraining has to beat what there is."""
    figure = deciding(best.verdict.known)
    value = f", {figure} {best.verdict.known[figure]:.4g}" if figure else ""
    reason = f"the best that was registered before the first retraining{value}"
    registry.judge(
        best,
        best.verdict.model_copy(update={"decision": "promoted", "reason": reason, "at": now()}),
        registry.lineage(best),
    )
    stage.note(f"version {best.version} of {best.model} is the champion now: {reason}")


def _champion(versions: list[Version], run_id: str) -> Version | None:
    """The one with the alias. This very run's own, promoted before it was killed, is not what it is compared with."""
    champion = with_alias(versions)
    if champion is None or champion.run_id != run_id:
        return champion
    return next((version for version in versions if version.version == champion.verdict.against), None)


def _judged(registry: Champions, versions: list[Version], champion: str) -> list[Judged]:
    """What lost against the champion of today, or was taken back: none of them need be trained again."""
    return [
        Judged(version=v.version, lineage=lineage, decision=v.verdict.decision, against=v.verdict.against)
        for v in versions
        if v.lineage
        and (v.verdict.decision == "rolled back" or (v.verdict.decision == "kept" and v.verdict.against == champion))
        and (lineage := registry.lineage_today(v))
    ]

"""Gives the registry's alias `champion` to the challenger where the comparison says so, and keeps why in both cases."""

import os
from pathlib import Path
from typing import Literal

from components.artifacts import Comparison, Exported, Figures, Outcome
from components.markdown import plain
from components.stage.request import StageRequest
from components.stage.stage import Stage
from components.tracking.backend import champions_of
from components.tracking.champions import COMPARED, Lineage, Verdict, now, with_alias

WAIT_VARIABLE = "GAN_PIPELINE_REGISTRY_SECONDS"
WAIT_SECONDS = 300.0


class Request(StageRequest):
    """What was made, and how it compares."""

    comparison: Path
    dataset: Path
    selected: Path
    report: Path
    samples: Path  # the folder of export_samples, which has registered the generator


def run(request: Request, stage: Stage) -> Outcome:
    """Waits for the generator to be in the registry, writes its lineage and verdict, moves the alias.

    Raises:
        RequestError: nothing is tracked, or nothing that keeps models, so there is no registry.
        RunError: the tracking store does not answer, or the generator does not arrive there.
    """
    registry = champions_of(stage.context.tracking_uri)
    compared = Comparison.read(request.comparison)
    model = Exported.read(request.samples).registered_name
    seconds = float(os.environ.get(WAIT_VARIABLE, WAIT_SECONDS))
    version = registry.await_version(model, stage.context.run_id, seconds)
    number = version.version
    # MLflow cannot compare and swap: what is decided by hand between this look and the move, a moment, is lost.
    champion = with_alias(registry.versions(model))
    held = champion.version if champion else ""
    promote, reason = compared.promote, compared.reason
    if promote and held not in (compared.champion, number):
        change = f"from version {compared.champion or 'none'} to {held or 'none'}"
        promote, reason = False, f"not compared with it: the champion changed {change} while it was made"
    found = Figures.read(request.report)
    figures = {**found.first, **{f"{COMPARED}{name}": value for name, value in compared.figures.items()}}
    decision: Literal["promoted", "kept"] = "promoted" if promote else "kept"
    verdict = Verdict(
        decision=decision,
        reason=reason,
        against=compared.champion,
        at=now(),
        figures={**figures},
        protocol=found.protocol,
    )
    lineage = Lineage.of_folder(request.selected)
    registry.judge(version, verdict, lineage)
    outcome = Outcome(
        run_id=stage.context.run_id,
        decision=decision,
        sentence=_sentence(model, number, verdict, held),
        model=model,
        version=number,
        champion=number if promote else held,
        figures=verdict.known,
        artifacts=request.model_dump(include={"dataset", "selected", "report", "samples"}),
    )
    outcome.write(Path(stage.context.state_dir))
    stage.note(outcome.sentence)
    stage.log_params({"lineage": lineage, "model": model, "version": number})
    stage.log_metrics(verdict.known)
    tags = {"decision": decision, "model": f"{model} version {number}", "champion": outcome.champion}
    stage.headline({}, f"**Retraining** {plain(outcome.sentence)}", tags)
    return outcome


def _sentence(model: str, version: str, verdict: Verdict, held: str) -> str:
    """`held`: the version that was the champion until now."""
    if verdict.decision == "promoted":
        return f"version {version} of {model} is the champion now: {verdict.reason}"
    stays = f"version {held} of {model} stays the champion" if held else f"{model} stays without a champion"
    return f"{stays}; version {version} is {verdict.reason}"

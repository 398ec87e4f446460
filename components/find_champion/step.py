"""Fetches the champion from the registry: its generator folder, with what it was made from."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from components.stage.stage import Stage
from components.tracking.mlflow.champions import GENERATOR_FOLDER, Lineage, Registry, Version
from gan_models.atomic import new_folder, write_json
from gan_models.errors import RequestError

CHAMPION_FILE = "champion.json"


class Request(BaseModel):
    """Whose champion, and where it goes."""

    model_config = ConfigDict(frozen=True)

    model_name: str
    output: Path
    """Folder to write: champion.json and, where there is a champion, generator/."""


class Judged(BaseModel):
    """A version that a comparison has kept out, or that was taken back."""

    version: str
    lineage: Lineage
    decision: str
    against: str


class Result(BaseModel):
    """Also written as champion.json."""

    model: str
    version: str = ""
    """Empty: there is no champion yet."""
    lineage: Lineage | None = None
    judged: list[Judged] = []


def run(request: Request, stage: Stage) -> Result:
    """Downloads the champion, if there is one.

    Raises:
        RequestError: nothing is tracked, so there is no registry.
        RunError: the tracking store does not answer.
    """
    uri = stage.context.tracking_uri
    if not uri:
        raise RequestError("a retraining needs MLflow, which keeps the champion: give --tracking-uri")
    registry = Registry(uri)
    versions = registry.versions(request.model_name)
    champion = _champion(versions, stage.context.run_id)
    with new_folder(request.output) as target:
        lineage = None
        if champion is not None:
            if not registry.download_generator(champion, target / GENERATOR_FOLDER):
                raise RequestError(
                    f"the champion, version {champion.version} of {request.model_name}, is no generator of "
                    "gan-pipeline: give the alias to one with `gan-pipeline models promote`"
                )
            lineage = Lineage.of_folder(target / GENERATOR_FOLDER)
        result = Result(
            model=request.model_name,
            version=champion.version if champion else "",
            lineage=lineage,
            judged=[
                Judged(version=v.version, lineage=v.lineage, decision=v.verdict.decision, against=v.verdict.against)
                for v in versions
                if v.lineage and v.verdict.decision in ("kept", "rolled back")
            ],
        )
        write_json(target / CHAMPION_FILE, result.model_dump(mode="json"))
    stage.note(f"version {result.version} of {result.model}" if result.version else f"{result.model} has none yet")
    return result


def _champion(versions: list[Version], run_id: str) -> Version | None:
    """The one with the alias. This very run's own, promoted before it was killed, is not what it is compared with."""
    champion = next((version for version in versions if "champion" in version.aliases), None)
    if champion is None or champion.run_id != run_id:
        return champion
    return next((version for version in versions if version.version == champion.verdict.against), None)

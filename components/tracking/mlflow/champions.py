"""Champions and challengers in MLflow's model registry: which version is served, what it came from, how it was judged.

A version's lineage and verdict are tags of the version; the alias `champion` names the one that is in use, `challenger`
the latest one that was compared with it and kept out. Everything here may be repeated without doing anything twice.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import yaml
from pydantic import BaseModel

from components.tracking.mlflow.client import connect, sentence_of
from components.tracking.mlflow.runs import RUN_TAG
from gan_models.errors import RequestError, RunError, unknown_name
from gan_models.recipes import recipe_digest
from gan_models.recipes.loading import parse_recipe

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

CHAMPION, CHALLENGER = "champion", "challenger"
GENERATOR_FOLDER = "generator"
_PREFIX = "gan_pipeline."
_VERDICT_TAG, _LINEAGE_TAG = f"{_PREFIX}verdict", f"{_PREFIX}lineage"
_WAIT_SECONDS = 0.5

Decision = Literal["promoted", "kept", "rolled back", ""]


class Lineage(BaseModel):
    """What a generator was made from. Equal lineages are equal trainings."""

    recipe: str
    recipe_digest: str
    data_fingerprint: str
    seed: int
    step: int = 0
    """The chosen checkpoint."""

    def same_training(self, other: Lineage) -> bool:
        """Whether both are of the same data, recipe and seed."""
        return self.model_dump(exclude={"step"}) == other.model_dump(exclude={"step"})

    @classmethod
    def of_folder(cls, folder: Path) -> Lineage:
        """Of a generator folder; torch is not needed for that."""
        info = json.loads((folder / "generator.json").read_text(encoding="utf-8"))
        recipe = parse_recipe(yaml.safe_load((folder / "recipe.yaml").read_text(encoding="utf-8")), str(folder))
        return cls(
            recipe=recipe.name,
            recipe_digest=recipe_digest(recipe),
            data_fingerprint=info["data_fingerprint"],
            seed=info["seed"],
            step=info["step"],
        )


class Verdict(BaseModel):
    """What was decided about a version, and on which figures."""

    decision: Decision = ""
    reason: str = ""
    against: str = ""
    """The version that was the champion then; empty: there was none."""
    at: str = ""
    figures: dict[str, float] = {}


class Version(BaseModel):
    """A registered generator."""

    model: str
    version: str
    run_id: str = ""
    """Of the pipeline run, ours; empty when something else registered it."""
    mlflow_run_id: str = ""
    created: datetime
    aliases: list[str] = []
    lineage: Lineage | None = None
    """None where no retraining has looked at it yet."""
    verdict: Verdict = Verdict()


class Registry:
    """The model registry of an MLflow store.

    Raises (all methods):
        RunError: the store does not answer, or refuses.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri
        with self._sentences():
            self._client: MlflowClient = connect(uri)

    @contextmanager
    def _sentences(self) -> Iterator[None]:
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except (MlflowException, SQLAlchemyError, OSError) as error:
            raise RunError(f"{sentence_of(error, self.uri)}: the same command continues") from None

    def models(self) -> list[str]:
        """Names of all registered models, sorted."""
        with self._sentences():
            return sorted(model.name for model in self._pages(self._client.search_registered_models))

    def versions(self, model: str) -> list[Version]:
        """All versions of a model, newest first; empty where there is no such model."""
        quoted = model.replace("'", "''")
        with self._sentences():
            aliases = self._aliases(model)
            found = self._pages(lambda **page: self._client.search_model_versions(f"name = '{quoted}'", **page))
        return sorted((_version(each, aliases) for each in found), key=lambda each: int(each.version), reverse=True)

    def require(self, model: str, version: str | None = None) -> list[Version]:
        """The versions of a model that must exist, newest first.

        Raises:
            RequestError: there is no such model or version.
        """
        found = self.versions(model)
        if not found:
            known = self.models()
            raise (
                unknown_name("model", model, known)
                if known
                else RequestError(
                    f"there is no model {model!r}: nothing is registered yet, and a run is what registers"
                )
            )
        if version is not None and version not in [each.version for each in found]:
            raise unknown_name(f"version of {model}", version, [each.version for each in found])
        return found

    def champion(self, model: str) -> Version | None:
        """The version with the alias `champion`; None where none has it."""
        return next((version for version in self.versions(model) if CHAMPION in version.aliases), None)

    def _aliases(self, model: str) -> Mapping[str, str]:
        from mlflow.exceptions import MlflowException

        try:
            aliases: Mapping[str, str] = self._client.get_registered_model(model).aliases
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return {}
            raise
        return aliases

    @staticmethod
    def _pages(search: Any) -> list[Any]:
        found, token = [], None
        while True:
            page = search(page_token=token)
            found += page
            token = page.token
            if not token:
                return found

    def await_version(self, model: str, run_id: str, seconds: float) -> Version:
        """The version that a pipeline run registered; it is sent by another process, perhaps only now.

        Raises:
            RunError: it has not arrived after `seconds`.
        """
        end = time.monotonic() + seconds
        while True:
            found = [version for version in self.versions(model) if version.run_id == run_id]
            if found:
                return found[0]
            if time.monotonic() > end:
                raise RunError(
                    f"the generator has not arrived in the registry as {model} after {seconds:.0f} s: check the "
                    "tracking server; the same command continues"
                )
            time.sleep(_WAIT_SECONDS)

    def download_generator(self, version: Version, target: Path) -> bool:
        """Copies the generator folder of a version to the new folder `target`; False where it has none."""
        from mlflow.artifacts import download_artifacts
        from mlflow.exceptions import MlflowException

        with self._sentences(), tempfile.TemporaryDirectory() as scratch:
            # A models:/ address would be looked up in the default registry, whichever store this is.
            place = self._client.get_model_version_download_uri(version.model, version.version)
            source = f"{place.rstrip('/')}/{GENERATOR_FOLDER}"
            try:
                folder = Path(download_artifacts(artifact_uri=source, dst_path=scratch, tracking_uri=self.uri))
            except (MlflowException, FileNotFoundError) as error:
                if getattr(error, "error_code", "RESOURCE_DOES_NOT_EXIST") == "RESOURCE_DOES_NOT_EXIST":
                    return False
                raise
            if not (folder / "generator.json").is_file():
                return False
            shutil.copytree(folder, target)
        return True

    def lineage(self, version: Version) -> Lineage | None:
        """Of a version, from its tags, else from its files; None where it is no generator of ours."""
        if version.lineage is not None:
            return version.lineage
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / GENERATOR_FOLDER
            return Lineage.of_folder(folder) if self.download_generator(version, folder) else None

    def judge(self, version: Version, verdict: Verdict, lineage: Lineage | None) -> None:
        """Writes a verdict down, then moves the aliases as it says: repeating makes good a kill in between."""
        with self._sentences():
            name, number = version.model, version.version
            if lineage is not None:
                self._client.set_model_version_tag(name, number, _LINEAGE_TAG, lineage.model_dump_json())
            self._client.set_model_version_tag(name, number, _VERDICT_TAG, verdict.model_dump_json())
            if verdict.decision == "promoted":
                self._client.set_registered_model_alias(name, CHAMPION, number)
                if str(self._aliases(name).get(CHALLENGER)) == number:
                    self._client.delete_registered_model_alias(name, CHALLENGER)
            elif verdict.decision == "kept":
                self._client.set_registered_model_alias(name, CHALLENGER, number)


def now() -> str:
    """This moment, as verdicts carry it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _version(found: ModelVersion, aliases: Mapping[str, str]) -> Version:
    tags: Mapping[str, str] = found.tags or {}
    number = str(found.version)
    return Version(
        model=found.name,
        version=number,
        run_id=tags.get(RUN_TAG, ""),
        mlflow_run_id=found.run_id or "",
        created=datetime.fromtimestamp(found.creation_timestamp / 1000, UTC),
        aliases=sorted(alias for alias, held in aliases.items() if str(held) == number),
        lineage=Lineage.model_validate_json(tags[_LINEAGE_TAG]) if _LINEAGE_TAG in tags else None,
        verdict=Verdict.model_validate_json(tags[_VERDICT_TAG]) if _VERDICT_TAG in tags else Verdict(),
    )

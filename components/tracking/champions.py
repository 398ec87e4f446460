"""Champions and challengers, wherever they are registered: which version is served, its origin, how it was judged.

The alias `champion` names the version that is in use, `challenger` the latest one that was compared with it and kept
out. A tracker that keeps models (`components.tracking.backend`) implements `Champions`; every call may be repeated
without doing anything twice.
"""

from __future__ import annotations

import json
import math
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TypeVar

import yaml
from pydantic import BaseModel, field_validator

from gan_models.errors import RequestError, RunError, unknown_name
from gan_models.files import INFO_FILE, RECIPE_FILE
from gan_models.metrics.floors import shortfalls
from gan_models.metrics.protocol import Protocol
from gan_models.recipes import Recipe, recipe_digest
from gan_models.recipes.loading import parse_recipe

CHAMPION, CHALLENGER = "champion", "challenger"
GENERATOR_FOLDER = "generator"
BY_HAND = "by hand"
COMPARED = "comparison/"
"""In front of the figures of a comparison with the champion, among those of a verdict."""
_WAIT_SECONDS = 0.5

Decision = Literal["promoted", "kept", "rolled back", ""]
T = TypeVar("T")


class Lineage(BaseModel):
    """What a generator was made from. Equal lineages are equal trainings."""

    recipe: str
    recipe_digest: str  # as the code that wrote it down took it: other code may give an equal recipe another
    data_fingerprint: str
    seed: int
    step: int = 0  # the chosen checkpoint

    def same_training(self, other: Lineage) -> bool:
        """Whether both are of the same data, recipe and seed."""
        return self.model_dump(exclude={"step"}) == other.model_dump(exclude={"step"})

    @classmethod
    def of_folder(cls, folder: Path) -> Lineage:
        """Of a generator folder, whatever version wrote it; torch is not needed for that."""
        info = json.loads((folder / INFO_FILE).read_text(encoding="utf-8"))
        recipe = _recipe_of(folder)
        facts = {name: info[name] for name in ("data_fingerprint", "seed", "step")}
        return cls(recipe=recipe.name, recipe_digest=recipe_digest(recipe), **facts)


class Verdict(BaseModel):
    """What was decided about a version, and on which figures."""

    decision: Decision = ""
    reason: str = ""
    against: str = ""  # the version that was the champion then; empty: there was none
    at: str = ""
    figures: dict[str, float | None] = {}
    """By their keys; None: it was not a number, which JSON cannot hold."""
    protocol: Protocol | None = None
    """How they were made; None for versions from before that was written down."""

    @field_validator("figures")
    @classmethod
    def _numbers(cls, figures: dict[str, float | None]) -> dict[str, float | None]:
        return {name: None if value is None or not math.isfinite(value) else value for name, value in figures.items()}

    @property
    def known(self) -> dict[str, float]:
        """The figures that are numbers."""
        return {name: value for name, value in self.figures.items() if value is not None}


class Version(BaseModel):
    """A registered generator."""

    model: str
    version: str
    run_id: str = ""  # of the pipeline run, ours; empty when something else registered it
    mlflow_run_id: str = ""
    created: datetime
    aliases: list[str] = []
    lineage: Lineage | None = None  # None where no retraining has looked at it yet
    verdict: Verdict = Verdict()


class Champions(ABC):
    """A registry of models. All methods raise RunError where the store does not answer, or refuses."""

    @abstractmethod
    def models(self) -> list[str]:
        """Names of all registered models, sorted."""

    @abstractmethod
    def versions(self, model: str) -> list[Version]:
        """All versions of a model, newest first; empty where there is no such model."""

    @abstractmethod
    def download_generator(self, version: Version, target: Path, only: Sequence[str] = ()) -> bool:
        """Copies the generator folder of a version, of its files `only` those or all, to the new folder `target`.

        False where it has none.
        """

    @abstractmethod
    def judge(self, version: Version, verdict: Verdict, lineage: Lineage | None) -> None:
        """Writes a verdict down, then moves the aliases as it says: repeating makes good a kill in between."""

    def require(self, model: str, version: str | None = None) -> list[Version]:
        """The versions of a model, newest first; RequestError where there is no such model or version."""
        found = self.versions(model)
        if not found and (known := self.models()):
            raise unknown_name("model", model, known)
        if not found:
            raise RequestError(f"there is no model {model!r}: nothing is registered yet, and a run is what registers")
        if version is not None and version not in [each.version for each in found]:
            raise unknown_name(f"version of {model}", version, [each.version for each in found])
        return found

    def named(self, asked: str) -> Version:
        """The version that `name`, `name@alias` or `name/version` means; of a name alone the champion, else the newest.

        RequestError where there is no such model, alias or version.
        """
        asked = asked.removeprefix("models:/")
        model, at, alias = asked.rpartition("@")
        if at and model:
            versions = self.require(model)
            if (found := with_alias(versions, alias)) is None:
                raise unknown_name(f"alias of {model}", alias, {name for each in versions for name in each.aliases})
            return found
        model, _, number = asked.partition("/")
        versions = self.require(model, number or None)
        if number:
            return next(version for version in versions if version.version == number)
        return with_alias(versions) or versions[0]

    def promote(self, model: str, version: str | None = None, uncompared: bool = False) -> str:
        """Makes a version the champion, by hand, whatever its figures; default: the newest. Returns a sentence on it.

        Args:
            uncompared: even if its figures were made otherwise than the champion's, so that nobody can compare them.

        RequestError where there is no such version, it is no generator of ours, or its figures do not compare.
        """
        versions = self.require(model, version)
        chosen = next(each for each in versions if version in (None, each.version))
        champion = with_alias(versions)
        if champion is not None and champion.version == chosen.version:
            return f"version {chosen.version} of {model} is the champion already"
        lineage = self.lineage(chosen)
        if lineage is None:
            raise RequestError(f"version {chosen.version} of {model} is no generator of gan-pipeline: promote another")
        if champion is not None and not uncompared:
            _check_comparable(chosen, champion)
        against, figures = champion.version if champion else "", chosen.verdict.figures
        short = shortfalls(self._floors(chosen), figures)
        reason = f"{BY_HAND}, though {short}" if short else BY_HAND
        decided = {"decision": "promoted", "reason": reason, "against": against, "at": now()}
        self.judge(chosen, chosen.verdict.model_copy(update=decided), lineage)
        before = f", version {against} was" if against else ""
        return f"version {chosen.version} of {model} is the champion now{before}{f'; it is {short}' if short else ''}"

    def roll_back(self, model: str) -> str:
        """Gives the alias back to the version that held it before; RequestError where none did. Returns a sentence."""
        versions = self.require(model)
        champion = with_alias(versions)
        if champion is None:
            raise RequestError(f"{model} has no champion, so there is nothing to take back")
        before = next((each for each in versions if each.version == champion.verdict.against), None)
        if before is None:
            raise RequestError(
                f"version {champion.version} of {model} is its first champion: name another with `gan-pipeline models "
                f"promote {model} --version N`"
            )
        reason = f"taken back for version {champion.version}"
        again = before.verdict.model_copy(update={"decision": "promoted", "at": now(), "reason": reason})
        self.judge(before, again, before.lineage)
        taken_back = champion.verdict.model_copy(update={"decision": "rolled back", "at": now(), "reason": BY_HAND})
        self.judge(champion, taken_back, champion.lineage)
        return f"version {before.version} of {model} is the champion again, version {champion.version} was"

    def await_version(self, model: str, run_id: str, seconds: float) -> Version:
        """The version that a pipeline run registered; it is sent by another process, perhaps only now.

        RunError where it has not arrived after `seconds`.
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

    def lineage(self, version: Version) -> Lineage | None:
        """As it was written down, else from the files; None where it is no generator of ours."""
        return version.lineage or self._from_files(version, Lineage.of_folder)

    def lineage_today(self, version: Version) -> Lineage | None:
        """As this code reads the version's files, so that it compares with a recipe of today; else as written down."""
        try:
            return self._from_files(version, Lineage.of_folder) or version.lineage
        except (RequestError, RunError):  # files that are gone, or a recipe that nobody can read any more
            return version.lineage

    def _floors(self, version: Version) -> Mapping[str, float | None]:
        """Those of the recipe that it was made by; none where that cannot be read any more."""
        try:
            recipe = self._from_files(version, _recipe_of)
        except (RequestError, RunError):
            return {}
        return recipe.evaluation.floors if recipe else {}

    def _from_files(self, version: Version, read: Callable[[Path], T]) -> T | None:
        """What is read of its generator folder, where it has one."""
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / GENERATOR_FOLDER
            there = self.download_generator(version, folder, (INFO_FILE, RECIPE_FILE))
            return read(folder) if there else None


def _check_comparable(version: Version, champion: Version) -> None:
    """RequestError where the figures of both are known to have been made otherwise, and nobody measured both anew."""
    ours, theirs = version.verdict.protocol, champion.verdict.protocol
    if version.verdict.against == champion.version and any(
        name.startswith(COMPARED) for name in version.verdict.figures
    ):
        return  # a retraining did, on the same data
    if ours is not None and theirs is not None and (difference := ours.difference(theirs)):
        raise RequestError(
            f"the figures of version {version.version} of {version.model} do not compare with those of the champion, "
            f"version {champion.version}: {difference}; judge both by one protocol with `gan-pipeline evaluate`, or "
            "promote it --uncompared"
        )


def _recipe_of(folder: Path) -> Recipe:
    return parse_recipe(yaml.safe_load((folder / RECIPE_FILE).read_text(encoding="utf-8")), str(folder))


def with_alias(versions: Sequence[Version], alias: str = CHAMPION) -> Version | None:
    """The version that an alias names; None where it names none."""
    return next((version for version in versions if alias in version.aliases), None)


def now() -> str:
    """This moment, as verdicts carry it."""
    return datetime.now(UTC).isoformat(timespec="seconds")

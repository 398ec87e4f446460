"""Champions in MLflow's model registry: a version's lineage and verdict are tags of the version."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.tracking.champions import CHALLENGER, CHAMPION, GENERATOR_FOLDER, Champions, Lineage, Verdict, Version
from components.tracking.mlflow.client import connect, sentence_of, tolerating
from components.tracking.mlflow.packing import digests_of
from components.tracking.mlflow.runs import RUN_TAG
from gan_models.errors import RequestError, RunError
from gan_models.files import INFO_FILE

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

PAGE = 100
_VERDICT_TAG, _LINEAGE_TAG = "gan_pipeline.verdict", "gan_pipeline.lineage"
FILES_TAG = "gan_pipeline.files"
"""SHA-256 of the files of a version's generator folder, by name, as JSON: kept apart from the files."""


class MlflowChampions(Champions):
    """The model registry of the MLflow store at an address."""

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
        with self._sentences():
            return sorted(model.name for model in _all(self._client.search_registered_models))

    def versions(self, model: str) -> list[Version]:
        quoted = model.replace("'", "''")
        with self._sentences():
            aliases = self._aliases(model)
            found = _all(partial(self._client.search_model_versions, f"name = '{quoted}'"))
        return sorted((_version(each, aliases) for each in found), key=lambda each: int(each.version), reverse=True)

    def _aliases(self, model: str) -> Mapping[str, str]:
        with tolerating("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return dict(self._client.get_registered_model(model).aliases)
        return {}

    def download_generator(self, version: Version, target: Path, only: Sequence[str] = ()) -> bool:
        from mlflow.artifacts import download_artifacts

        with self._sentences(), tempfile.TemporaryDirectory() as scratch:
            # A models:/ address would be looked up in the default registry, whichever store this is.
            place = self._client.get_model_version_download_uri(version.model, version.version)
            wanted = [f"{GENERATOR_FOLDER}/{name}" for name in only] or [GENERATOR_FOLDER]
            folder = Path(scratch) / GENERATOR_FOLDER
            with suppress(FileNotFoundError), tolerating("RESOURCE_DOES_NOT_EXIST"):
                for name in wanted:
                    there = str((Path(scratch) / name).parent)
                    download_artifacts(f"{place.rstrip('/')}/{name}", dst_path=there, tracking_uri=self.uri)
                if (folder / INFO_FILE).is_file():
                    self._check_files(version, folder)
                    shutil.copytree(folder, target)
                    return True
        return False

    def _check_files(self, version: Version, folder: Path) -> None:
        """That files are those that were registered; versions of before that was written down pass."""
        tags: Mapping[str, str] = self._client.get_model_version(version.model, version.version).tags or {}
        if FILES_TAG not in tags:
            return
        known = json.loads(tags[FILES_TAG])
        for name, digest in digests_of(folder).items():
            if known.get(name) != digest:
                raise RequestError(
                    f"{name} of version {version.version} of {version.model} is not the file that was registered: "
                    "somebody has changed it in the artifact store; register the generator again"
                )

    def judge(self, version: Version, verdict: Verdict, lineage: Lineage | None) -> None:
        with self._sentences():
            name, number = version.model, version.version
            for tag, text in version_tags(verdict, lineage).items():
                self._client.set_model_version_tag(name, number, tag, text)
            if verdict.decision == "promoted":
                self._client.set_registered_model_alias(name, CHAMPION, number)
                if str(self._aliases(name).get(CHALLENGER)) == number:
                    self._client.delete_registered_model_alias(name, CHALLENGER)
            elif verdict.decision == "kept":
                self._client.set_registered_model_alias(name, CHALLENGER, number)


def version_tags(verdict: Verdict, lineage: Lineage | None) -> dict[str, str]:
    """How a version carries what is known of it; lineage first, so that a verdict never stands without."""
    origin = {_LINEAGE_TAG: lineage.model_dump_json()} if lineage else {}
    return {**origin, _VERDICT_TAG: verdict.model_dump_json()}


def _all(search: Callable[..., Any]) -> list[Any]:
    """What is found on all pages of a search."""
    from mlflow.utils import get_results_from_paginated_fn

    found: list[Any] = get_results_from_paginated_fn(  # type: ignore[no-untyped-call]
        lambda count, page: search(max_results=count, page_token=page), PAGE
    )
    return found


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

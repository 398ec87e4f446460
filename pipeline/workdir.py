"""The work directory of a run: what lies where, who may write, and which run it belongs to.

    run.json          the run: its id, what was asked, how it ended
    results/          links to the newest artifacts: dataset, training, generator, evaluation, samples; leaderboard
    artifacts/        outputs of the stages, one folder for each attempt
    cache/            kfp's memory of which inputs gave which outputs
    logs/             pipeline.log (everything the stages printed), <stage>.log, events.jsonl; of a sweep's trials in
                      trial-<key>/<stage>.log
    tracking/         journals bound for MLflow (components.tracking.journal)

The stages keep further state here, such as training checkpoints.
"""

import json
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import BaseModel, Field, ValidationError, field_validator

from components.artifacts import StageFailure
from components.redaction import redact
from components.stage.failures import failure_of
from gan_models.atomic import write_text
from gan_models.errors import RequestError
from pipeline.definitions.stages import result_names

MIN_FREE_MB = 300
_TURN = "-iteration-"  # in the names that kfp gives to the folders of a loop's turns


class RunRecord(BaseModel):
    """What run.json holds."""

    run_id: str = Field(default_factory=lambda: uuid.uuid4().hex)
    name: str
    digest: str = Field(description="of the plan: another one is another run")
    recipe: str
    source: str
    seed: int
    experiment: str
    tracking_uri: str = Field("", description="empty when it holds a password, which is never written down")
    code_version: str
    status: str = "running"
    sentence: str = ""
    started: str = ""
    ended: str = ""
    metrics: dict[str, float] = {}
    occasion: str = Field("", description="what it was started for, such as a time of a schedule; once for each")

    @field_validator("tracking_uri")
    @classmethod
    def _without_password(cls, uri: str) -> str:
        return uri if redact(uri) == uri else ""


class WorkDirectory:
    """One run's place on disk. Make it with `open_workdir`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.artifacts = root / "artifacts"
        self.cache = root / "cache"
        self.logs = root / "logs"
        self.results = root / "results"
        self.events = self.logs / "events.jsonl"
        self.pipeline_log = self.logs / "pipeline.log"
        self.record_file = root / "run.json"

    def record(self) -> RunRecord | None:
        """The run that was here last, or None; a damaged record counts as none."""
        try:
            return RunRecord.model_validate_json(self.record_file.read_text(encoding="utf-8"))
        except (OSError, ValidationError):
            return None

    def write_record(self, record: RunRecord) -> None:
        write_text(self.record_file, record.model_dump_json(indent=2) + "\n")

    def link_results(self, artifacts: Mapping[str, Path]) -> dict[str, Path]:
        """Points results/ at the outputs of a run and returns the links by their names."""
        self.results.mkdir(exist_ok=True)
        links = {}
        for output, name in result_names().items():
            if output in artifacts:
                link, target = self.results / name, os.path.relpath(artifacts[output], self.results)
                fresh = self.results / f".{name}"
                fresh.unlink(missing_ok=True)
                fresh.symlink_to(target)
                fresh.replace(link)
                links[name] = link
        return links

    def clear_results(self) -> None:
        """Takes the links away, so that no older result is taken for the one of a run that failed."""
        shutil.rmtree(self.results, ignore_errors=True)

    def forget_elsewhere(self) -> None:
        """Forgets outputs that lie in another work directory: this one was moved or copied from there.

        kfp remembers them by absolute paths; the stages are done again here, the training from its checkpoint.
        """
        inside = json.dumps(f"{self.artifacts}/")[:-1]
        for entry in self.cache.glob("*.json"):
            try:
                places = re.findall(r'"uri": ("(?:[^"\\]|\\.)*)"', entry.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                places = [""]
            if not all(place.startswith(inside) for place in places):
                entry.unlink(missing_ok=True)

    def remove_unfinished(self) -> None:
        """Removes outputs of stages that did not get to their end: kfp writes executor_output.json when they do.

        kfp takes a stage whose outputs are gone for one that has not been done.
        """
        for stage in [*self._stage_folders()]:
            failed = any(stage.glob(f"*/{StageFailure.FILE}"))  # in a trial of a sweep: tried again
            if failed or not (stage / "executor_output.json").exists():
                shutil.rmtree(stage, ignore_errors=True)
                for folder in (stage.parent, stage.parent.parent):
                    if folder != self.artifacts and not any(folder.iterdir()):
                        folder.rmdir()

    def _stage_folders(self) -> Iterator[Path]:
        """Of each attempt at a stage, also of those in a loop."""
        for folder in self.artifacts.glob("*/*/"):
            if _TURN in folder.name:
                yield from folder.glob("*/")
            else:
                yield folder


@contextmanager
def open_workdir(root: Path) -> Iterator[WorkDirectory]:
    """Makes the folder, holds its lock; RequestError: unwritable, no work directory, in use, or the disk is full."""
    _check_place(root)
    with _sentence_for(root):
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=root):
            pass
    with ExitStack() as held:
        try:
            held.enter_context(FileLock(root / ".lock", timeout=0))
        except Timeout:
            raise RequestError(
                f"another run is using the work directory {root}: wait for it to end, or choose another --workdir"
            ) from None
        workdir = WorkDirectory(root)
        for folder in (workdir.artifacts, workdir.cache, workdir.logs):
            folder.mkdir(exist_ok=True)
        workdir.forget_elsewhere()
        workdir.remove_unfinished()
        yield workdir


def _check_place(root: Path) -> None:
    if "python3" in str(root):
        raise RequestError(
            f"kfp.local replaces the word python3 wherever it stands in a path, so {root} cannot be a work directory: "
            "choose a --workdir without it"
        )
    with _sentence_for(root):
        if root.exists() and not root.is_dir():
            raise RequestError(f"the work directory {root} is a file: choose another --workdir")
        if root.is_dir() and any(root.iterdir()) and not any((root / n).exists() for n in ("run.json", ".lock")):
            raise RequestError(
                f"{root} holds other things and is no work directory of gan-pipeline: choose an empty or new --workdir"
            )
        existing = next(place for place in (root, *root.parents) if place.exists())
        disk = shutil.disk_usage(existing)
    free = disk.free // 2**20
    if disk.total and free < MIN_FREE_MB:
        raise RequestError(
            f"only {free} MB are free at {existing} and a run needs about {MIN_FREE_MB}: free some, or change --workdir"
        )


@contextmanager
def _sentence_for(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        failure = failure_of(error)
        reason = failure.sentence if not failure.sentence.startswith("unexpected") else (error.strerror or str(error))
        raise RequestError(f"the work directory {root} cannot be used: {reason}") from None

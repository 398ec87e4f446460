"""Turns journal entries into calls of MLflow's client. Every call may be repeated without doing anything twice."""

from __future__ import annotations

import json
import re
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from components.context import PIPELINE
from components.tracking.backend import Sender, Trouble
from components.tracking.journal import BATCHED, Entry, link_or_copy, sending_folder
from components.tracking.mlflow.client import connect, sentence_of, trouble_of
from components.tracking.mlflow.models import log_checkpoint, log_generator
from components.tracking.mlflow.runs import PipelineRuns

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

TAG_LENGTH = 7900  # MLflow takes 8,000 characters
DIGEST_LENGTH = 36
CHANGED = "changed."  # a parameter's second value
NOTE_TAG = "mlflow.note.content"
MARK = "<!-- {} -->"  # in front of each stage's part of a description; a browser shows none of it
LINKS = "stages"


class MlflowSender(Sender):
    """Connects at the first use, and looks its runs up again after `reset`."""

    @cached_property
    def client(self) -> MlflowClient:
        return connect(self.context.tracking_uri)

    @cached_property
    def runs(self) -> PipelineRuns:
        return PipelineRuns(self.client, self.context)

    def reset(self) -> None:
        self.__dict__.pop("runs", None)

    def trouble_of(self, error: Exception) -> Trouble:
        return trouble_of(error)

    def sentence_of(self, error: Exception) -> str:
        return sentence_of(error, self.context.tracking_uri)

    def send(self, stage: str, spool: Path, entries: Sequence[Entry], verify: bool) -> None:
        run_id = self.runs.of(stage, entries[0]["t"])
        if entries[0]["kind"] in BATCHED:
            self._batch(run_id, entries, verify)
            return
        entry = entries[0]
        match entry["kind"]:
            case "start":
                self._start(stage, run_id, entry)
            case "end":
                self._end(stage, run_id, entry)
            case "image":
                self._image(run_id, entry, spool)
            case "artifact":
                self._artifact(self.runs.of(PIPELINE) if entry.get("of_pipeline") else run_id, entry, spool)
            case "dataset":
                self._dataset(run_id, entry)
            case "headline":
                self._headline(stage, entry, verify)
            case "checkpoint":
                log_checkpoint(self.runs, run_id, entry)
            case "generator":
                if (path := spool / entry["file"]).exists():
                    self._describe({stage: log_generator(self.runs, run_id, entry, path)})

    def _start(self, stage: str, run_id: str, entry: Entry) -> None:
        self._log(run_id, tags=_environment(stage, entry))
        self.client.update_run(run_id, status="RUNNING")
        if self._moves_pipeline(stage):
            self.client.update_run(self.runs.of(PIPELINE), status="RUNNING")
            # Nobody else would say between two stages of the sweep itself that its trials are under way.
            if self.context.sweep and self.context.relay == "in-process" and not self.context.parent_run_id:
                self.client.update_run(self.runs.sweep.of(PIPELINE), status="RUNNING")

    def _end(self, stage: str, run_id: str, entry: Entry) -> None:
        reason = {"gan_pipeline.failure": entry["reason"]} if entry.get("reason") else {}
        self._log(run_id, tags={**_environment(stage, entry), **reason})
        self._describe({})  # with a link to this one, whichever of the stages' journals is sent first
        ended = [run_id] if run_id != self.context.parent_run_id else []
        if self._moves_pipeline(stage):
            ended.append(self.runs.of(PIPELINE))
        for each in ended:
            self.client.set_terminated(each, status=entry["status"], end_time=entry["t"])

    def _moves_pipeline(self, stage: str) -> bool:
        """Where no command line stands behind the stages, the pipeline's run is as far as its latest stage.

        Not one that KFP's plugin made, which ends it. No command line stands behind a trial of a sweep.
        """
        alone = stage != PIPELINE and (self.context.relay == "in-process" or self.context.sweep is not None)
        return alone and self.runs.of(PIPELINE) != self.context.parent_run_id

    def _batch(self, run_id: str, entries: Sequence[Entry], verify: bool) -> None:
        from mlflow.entities import Metric

        metrics: list[Metric] = []
        params: dict[str, str] = {}
        tags: dict[str, str] = {}
        for entry in entries:
            if entry["kind"] == "metrics":
                metrics += [Metric(k, v, entry["t"], entry["step"]) for k, v in entry["values"].items()]
            elif entry["kind"] == "tags":
                tags |= entry["values"]
            else:
                for key, value in entry["values"].items():
                    if params.setdefault(key, value) != value:
                        tags[CHANGED + key] = value
        self._log(run_id, metrics, params, tags, verify)

    def _log(
        self,
        run_id: str,
        metrics: Sequence[Metric] = (),
        params: Mapping[str, str] = {},
        tags: Mapping[str, str] = {},
        verify: bool = False,
    ) -> None:
        """`verify`: only what the store lacks. A parameter cannot change: a new value becomes a tag."""
        from mlflow.entities import Param, RunTag

        if verify:
            run = self.client.get_run(run_id)
            known: dict[str, set[int]] = {
                key: {metric.step for metric in self.client.get_metric_history(run_id, key)}
                for key in {metric.key for metric in metrics} & set(run.data.metrics)
            }
            metrics = [metric for metric in metrics if metric.step not in known.get(metric.key, ())]
            there = run.data.params
            tags = {**tags, **{CHANGED + key: value for key, value in params.items() if there.get(key, value) != value}}
            params = {key: value for key, value in params.items() if key not in there}
        if metrics or params or tags:
            self.client.log_batch(
                run_id,
                metrics=metrics,
                params=[Param(key, value) for key, value in params.items()],
                tags=[RunTag(key, value[:TAG_LENGTH]) for key, value in tags.items()],
            )

    def _image(self, run_id: str, entry: Entry, spool: Path) -> None:
        """As `MlflowClient.log_image`, whose file names the UI reads the step from, but with one name each time."""
        from mlflow.tracking.multimedia import compress_image_size
        from PIL import Image

        source = spool / entry["file"]
        if not source.exists():  # uploaded, and the acknowledgement was lost
            return
        key = entry["key"].replace("/", "~")
        mark = uuid.uuid5(uuid.NAMESPACE_OID, f"{run_id} {entry['key']} {entry['step']}")
        name = f"{key}+step+{entry['step']}+timestamp+{entry['t']}+{mark}"
        with _under_name(source, f"{name}.png") as full:
            small = full.with_name(f"{name}+compressed.webp")
            with Image.open(full) as image:
                compress_image_size(image).save(small)
            self.client.log_artifact(run_id, str(full), "images")
            self.client.log_artifact(run_id, str(small), "images")
        self.client.set_tag(run_id, "mlflow.loggedImages", "true")

    def _artifact(self, run_id: str, entry: Entry, spool: Path) -> None:
        source = spool / entry["file"]
        if source.is_dir():
            target = "/".join(part for part in (entry["folder"], entry["name"]) if part)
            self.client.log_artifacts(run_id, str(source), target)
        elif source.exists():
            with _under_name(source, entry["name"]) as path:
                self.client.log_artifact(run_id, str(path), entry["folder"] or None)

    def _dataset(self, run_id: str, entry: Entry) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        dataset = Dataset(
            name=entry["name"],
            digest=entry["fingerprint"][:DIGEST_LENGTH],
            source_type="local",
            source=json.dumps({"uri": entry["source"]}),
            profile=json.dumps(entry["profile"]),
        )
        given = DatasetInput(dataset=dataset, tags=[InputTag("mlflow.data.context", entry["context"])])
        parent = self.runs.of(PIPELINE)
        for target in dict.fromkeys((run_id, parent)):
            inputs = self.client.get_run(target).inputs
            known = {(i.dataset.name, i.dataset.digest) for i in (inputs.dataset_inputs if inputs else ())}
            if (dataset.name, dataset.digest) not in known:
                self.client.log_inputs(target, datasets=[given])
        self._log(parent, tags={"data": f"{entry['name']} {entry['fingerprint'][:12]}"})

    def _headline(self, stage: str, entry: Entry, verify: bool) -> None:
        """Figures and tags of the pipeline's run, and this stage's part of its description."""
        from mlflow.entities import Metric

        parent = self.runs.of(PIPELINE)
        metrics = [Metric(key, value, entry["t"], entry.get("step", 0)) for key, value in entry["values"].items()]
        self._log(parent, metrics, tags=entry.get("tags", {}), verify=verify)
        if entry["markdown"]:
            self._describe({stage: entry["markdown"]})

    def _describe(self, said: Mapping[str, str]) -> None:
        """What stages say in the description of the pipeline's run, in front of the links to their runs."""
        parent = self.runs.of(PIPELINE)
        there = self.client.get_run(parent).data.tags.get(NOTE_TAG, "")
        parts = parts_of(there)
        parts |= {**said, LINKS: self.runs.links()}
        # The latest stage first: a reviewer wants figures, and MLflow folds what is long.
        order = {name: -place for place, name in enumerate((PIPELINE, *self.context.titles))}
        names = sorted(parts, key=lambda name: (name == LINKS, order.get(name, 0), name))
        text = "\n\n".join(f"{MARK.format(name)}\n{parts[name]}" for name in names if parts[name])
        if text != there:
            self._log(parent, tags={NOTE_TAG: text})


def parts_of(note: str) -> dict[str, str]:
    """The parts of a description by the stage that said them.

    >>> parts_of("<!-- prepare_data -->\\nData\\n\\n<!-- evaluate_gan -->\\nFigures")
    {'prepare_data': 'Data', 'evaluate_gan': 'Figures'}
    """
    _, *found = re.split(MARK.format("([a-z_]+)"), note)
    return {name: text.strip() for name, text in zip(found[::2], found[1::2], strict=True)}


def _environment(stage: str, entry: Entry) -> dict[str, str]:
    """All of it on a stage's run; on the pipeline's, which people read, the commit."""
    known: dict[str, str] = entry.get("environment", {})
    if stage != PIPELINE:
        return known
    changed = " and changes" if known.get("git.dirty") == "true" else ""
    return {"commit": known["git.revision"][:12] + changed} if "git.revision" in known else {}


@contextmanager
def _under_name(source: Path, name: str) -> Iterator[Path]:
    """The file under the name that it is to be uploaded as."""
    with tempfile.TemporaryDirectory(dir=sending_folder(source.parent)) as scratch:
        link_or_copy(source, Path(scratch) / name)
        yield Path(scratch) / name

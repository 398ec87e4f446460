"""What a stage sees of the world around it: progress, tracking, and how it ends.

A stage is a plain function `run(request, stage)`. Everything it tells MLflow goes through `Stage.log_*`, which only
append to a journal on disk (components.tracking.journal), so no server can slow a stage down or fail it.

    with open_stage("train_gan", context) as stage:      # in Python
        run(request, stage)

    run_component("train_gan", lambda stage: run(request, stage))     # in a KFP component: errors become exit codes

Importing this module costs pydantic and nothing heavier; mlflow is imported by the relay alone.
"""

import atexit
import json
import logging
import os
import re
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from components.artifacts import StageFailure
from components.context import DESCRIBED, DESCRIPTION_FILE, PIPELINE, RunContext, Trial, read_description
from components.lease import CLUSTER_PATIENCE_SECONDS, PATIENCE_SECONDS, LeaseLostError
from components.redaction import redact
from components.stage.environment import environment
from components.stage.failures import CLAIM_VARIABLE, Failure, Interrupted, failure_of
from components.stage.progress import EventLog, Progress, show_progress
from components.stage.stopping import PARENT_VARIABLE, StopSignal, stop_on_signals, watch_parent
from components.stage.trials import hand_on, is_of_trial
from components.tracking.champions import Lineage
from components.tracking.journal import Journal, last_kind
from gan_models.atomic import write_json
from gan_models.errors import RunError
from gan_models.metrics.protocol import Protocol

__all__ = ["PIPELINE", "Interrupted", "RunContext", "Stage", "flatten", "open_stage", "run_component"]

DRAIN_VARIABLE = "GAN_PIPELINE_DRAIN_SECONDS"
DRAIN_SECONDS = 60.0  # how long a stage that sends by itself waits for the server at its end
VALUES_PER_ENTRY = 90  # MLflow takes 100 parameters or tags in one request
PARAM_LENGTH = 5900  # MLflow cuts a value at 6,000 characters
KEY_LENGTH = 240  # and a name at 250

OWN_LOGGERS = ("gan_pipeline", "gan_models", "components", "pipeline")

NONE: Mapping[str, float] = {}

T = TypeVar("T")


class Stage:
    """The running stage. Made by `open_stage`."""

    def __init__(self, name: str, context: RunContext, events: EventLog, stop: StopSignal) -> None:
        self.name = name
        self.context = context
        self.log_path = context.logs / f"{name}.log"
        self._journal: Journal | None = None  # where the run is tracked
        self._events = events
        self._stop = stop
        self._logger = logging.getLogger(f"gan_pipeline.{name}")

    @property
    def stop_requested(self) -> bool:
        """Whether SIGTERM or SIGINT arrived: save, then raise `Interrupted`. Cheap enough to ask at every step."""
        return self._stop.requested

    # -- for the user ---------------------------------------------------------------------------------------------

    def progress(self, description: str, total: int) -> AbstractContextManager[Progress]:
        """A bar for one task of the stage: `with stage.progress("training", 4000) as bar: bar.advance(loss=0.7)`."""
        return show_progress(self._events, description, total)

    def note(self, sentence: str) -> None:
        """One line for the user, also kept in the stage's log."""
        sentence = redact(sentence)
        self._logger.info(sentence)
        self._events.write("note", text=sentence)
        if self._events.path is None:
            print(f"{self.name}: {sentence}", file=sys.stderr, flush=True)  # noqa: T201

    def while_waiting(self, sentence: str) -> Callable[[], None]:
        """What to call again and again while another process is waited for: notes `sentence` once, ends at a stop."""
        noted = False

        def look() -> None:
            nonlocal noted
            if not noted:
                self.note(sentence)
                noted = True
            if self.stop_requested:
                raise Interrupted

        return look

    # -- for MLflow: the stage's own run --------------------------------------------------------------------------

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Parameters of any length; nested mappings and models become dotted names."""
        texts = {key: _text(value) for key, value in flatten(params).items()}
        self._append_values("params", _short_values(texts))

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        """Figures at a step; one that was logged at this step before (a resumed run repeats steps) is left out."""
        self._append_values("metrics", _floats(metrics), step=int(step))

    def log_image(self, png: Path, key: str, step: int) -> None:
        """An image of the series `key`; MLflow shows a series with a slider over its steps."""
        key = re.sub(r"[^A-Za-z0-9_\-./ ]", "_", key)
        if self._journal is not None and not self._journal.has("image", key, int(step)):
            self._append("image", key=key, step=int(step), file=self._journal.keep_copy(Path(png)))

    def log_artifact(self, path: Path, folder: str = "", *, of_pipeline: bool = False) -> None:
        """A file, or a folder with all it holds, into `folder` of the run's artifacts.

        Args:
            of_pipeline: into those of the whole pipeline's run, which a reviewer opens first.
        """
        if self._journal is not None:
            path = Path(path)
            where = {"folder": folder, **({"of_pipeline": True} if of_pipeline else {})}
            self._append("artifact", name=path.name, file=self._journal.keep_copy(path), **where)

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        """Tags of the stage's run."""
        self._append_values("tags", {_key(key): _text(value) for key, value in tags.items()})

    def log_dataset(self, name: str, fingerprint: str, source: str, profile: Mapping[str, Any], context: str) -> None:
        """The data the stage works on, as an MLflow dataset input of its run and of the pipeline's.

        `profile` is counts and shapes, JSON values only; `context` is "training" or "evaluation".
        """
        said = {"source": redact(source), "profile": dict(profile), "context": context}
        self._append("dataset", name=name, fingerprint=fingerprint, **said)

    def log_checkpoint(self, name: str, step: int, metrics: Mapping[str, float]) -> None:
        """A checkpoint as an MLflow logged model (description only, no weights) with its figures linked to it.

        The figures are metrics of the stage's run at that step, too, once, even if `log_metrics` logs them as well.
        """
        self._append("checkpoint", name=name, step=int(step), values=_floats(metrics))

    def log_generator(
        self,
        folder: Path,
        registered_name: str,
        lineage: Lineage | None = None,
        figures: Mapping[str, float] | None = None,
        protocol: Protocol | None = None,
    ) -> None:
        """Log and register a generator folder; `mlflow.pyfunc.load_model("models:/NAME/1")` then draws images.

        The version carries what it was made from and its figures with their protocol, so that a retraining can compare
        with it.

        What needs torch is done here, not in the process that sends.
        """
        if self._journal is None or self._journal.has("generator", registered_name):
            return
        from components.tracking.backend import tracker_of

        with self._journal.new_copy("generator") as target:
            tracker_of(self.context.tracking_uri).pack_generator(Path(folder), target)
        origin = lineage.model_dump(mode="json") if lineage else None
        said = {"figures": _floats(figures or {}), "protocol": protocol.model_dump(mode="json") if protocol else None}
        self._append("generator", name=registered_name, file=target.name, lineage=origin, **said)

    # -- for MLflow: the run of the whole pipeline ------------------------------------------------------------------

    def headline(
        self,
        metrics: Mapping[str, float],
        markdown: str = "",
        tags: Mapping[str, str] | None = None,
        step: int = 0,
    ) -> None:
        """The figures that a reader of the pipeline run looks for: its metrics, tags and a part of its description."""
        texts = {_key(key): _text(value) for key, value in (tags or {}).items()}
        self._append("headline", values=_floats(metrics), markdown=markdown, tags=texts, step=int(step))

    def _append(self, kind: str, **fields: Any) -> None:
        if self._journal is not None:
            self._journal.append({"kind": kind, **fields})

    def _append_values(self, kind: str, values: Mapping[str, Any], **fields: Any) -> None:
        items = list(values.items())
        for start in range(0, len(items), VALUES_PER_ENTRY):
            self._append(kind, **fields, values=dict(items[start : start + VALUES_PER_ENTRY]))


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings, models and sequences of them as one level of dotted names.

    >>> flatten({"optimizers": {"generator": {"lr": 0.0002}}, "seed": 0})
    {'optimizers.generator.lr': 0.0002, 'seed': 0}
    """
    flat: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, BaseModel):
            value = value.model_dump(mode="json")
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{name}.")
        elif isinstance(value, list | tuple) and any(isinstance(item, Mapping | BaseModel) for item in value):
            flat |= flatten({str(index): item for index, item in enumerate(value)}, f"{name}.")
        else:
            flat[name] = value
    return flat


def _text(value: Any) -> str:
    return redact(value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False))


def _key(name: str) -> str:
    """A name that MLflow takes: letters, digits, _ - . space : and /."""
    return re.sub(r"[^A-Za-z0-9_\-.:/ ]", "_", name)[:KEY_LENGTH]


def _floats(metrics: Mapping[str, float]) -> dict[str, float]:
    return {_key(key): float(value) for key, value in metrics.items()}


def _short_values(texts: Mapping[str, str]) -> dict[str, str]:
    """Values longer than MLflow keeps, cut into numbered parts."""
    short: dict[str, str] = {}
    for key, text in texts.items():
        parts = [text[start : start + PARAM_LENGTH] for start in range(0, len(text), PARAM_LENGTH)] or [""]
        names = [_key(key)] if len(parts) == 1 else [_key(f"{key}.part-{n}") for n in range(1, len(parts) + 1)]
        short |= dict(zip(names, parts, strict=True))
    return short


@contextmanager
def open_stage(name: str, context: RunContext | None = None, stop: StopSignal | None = None) -> Iterator[Stage]:
    """A stage of a run: opens its journal and log, says how it ended, and lets every error through.

    Args:
        name: of a stage, or `PIPELINE`: then what is logged goes to the run of the whole pipeline, which ends when the
            block does (the command line does this).
        context: the run; default: what the process was started with.
        stop: what `Stage.stop_requested` asks; default: nobody requests a stop.
    """
    context = context or RunContext.from_environment()
    stage = Stage(name, context, EventLog.from_environment(name, context.trial), stop or StopSignal())
    started = time.monotonic()
    failure: Failure | None = None
    with ExitStack() as inside:
        try:
            stage._events.write("start")
            inside.enter_context(_log_file(stage.log_path))
            _open_journal(stage, inside)
            stage._append("start", environment=environment())
            yield stage
        except BaseException as error:
            failure = failure_of(error, stage.log_path)
            _write_traceback(stage.log_path, error)
            said = {"sentence": failure.sentence, "exit_code": failure.exit_code, "log": str(stage.log_path)}
            stage._events.write("trial-failed" if is_of_trial(error, context) else "error", **said)
            raise
        finally:
            status, reason = (failure.status, failure.sentence) if failure else ("FINISHED", "")
            # A full disk is being reported already; a journal that was lost is ended by who holds it now.
            with suppress(OSError, LeaseLostError):
                if name == PIPELINE:
                    for run in (context, *trials_of(context)):
                        _end_unfinished(run, status)
                stage._append("end", status=status, reason=reason, environment=environment())
            stage._events.write("end", status=status, seconds=round(time.monotonic() - started, 3))


def _open_journal(stage: Stage, inside: ExitStack) -> None:
    """Gives the stage its journal, and a relay that sends it where no other process does; `inside` closes them."""
    context = stage.context
    if not context.tracking_uri:
        return
    waiting = stage.while_waiting(f"another process is at the stage {stage.name} of this run: waiting for its end")
    stage._journal = Journal(context.tracking_folder, stage.name, patience_seconds(), waiting)
    inside.callback(stage._journal.close)
    described = context.tracking_folder / DESCRIPTION_FILE
    if not described.exists():  # what a later command needs to send the journals, should the server be away until then
        fields = context.model_dump(include=set(DESCRIBED))
        write_json(described, {**fields, "tracking_uri": redact(context.tracking_uri)})
    if context.relay == "in-process":
        from components.tracking.relay import Relay

        relay = inside.enter_context(Relay(context, only=stage.name))

        def wait() -> None:
            if pending := relay.drain(float(os.environ.get(DRAIN_VARIABLE, DRAIN_SECONDS))):
                stage.note(pending.sentence)

        inside.callback(wait)


def patience_seconds() -> float:
    """How long to wait for a process that does the same: on a cluster it may be in a pod that is being given up."""
    return CLUSTER_PATIENCE_SECONDS if os.environ.get(CLAIM_VARIABLE) else PATIENCE_SECONDS


def trials_of(context: RunContext) -> list[RunContext]:
    """Those of a sweep that have begun, as far as they are tracked."""
    described = (read_description(file) for file in context.tracking_folder.parent.glob(f"*/{DESCRIPTION_FILE}"))
    begun = (each["trial"] for each in described if (each.get("sweep") or {}).get("run_id") == context.run_id)
    return [context.of_trial(Trial.model_validate(trial)) for trial in begun]


def _end_unfinished(context: RunContext, status: str) -> None:
    """Journal the end of stages that were killed before they could."""
    if not context.tracking_uri:
        return
    for path in context.tracking_folder.glob("*.jsonl"):
        if path.stem != PIPELINE and last_kind(path) not in ("", "end"):
            ended = "KILLED" if status == "KILLED" else "FAILED"
            # RunError: it still runs
            with suppress(RunError), closing(Journal(context.tracking_folder, path.stem, patience=0)) as journal:
                journal.append({"kind": "end", "status": ended, "reason": "the process was killed"})


@contextmanager
def _log_file(path: Path) -> Iterator[None]:
    """Log records of this process go to the stage's log: ours in full, warnings of others."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = _StageLog(path, encoding="utf-8", delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    handler.addFilter(lambda record: record.levelno >= logging.WARNING or record.name.startswith(OWN_LOGGERS))
    ours = logging.getLogger("gan_pipeline")
    level, root = ours.level, logging.getLogger()
    ours.setLevel(logging.INFO)
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        ours.setLevel(level)
        handler.close()


class _StageLog(logging.FileHandler):
    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError):  # it is opened at the first record, and the disk may be full
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """A log that cannot be written is no reason to print a traceback or to fail."""


def _write_traceback(path: Path, error: BaseException) -> None:
    with suppress(OSError):  # the disk is full or read-only: that is the error being reported
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(redact("".join(traceback.format_exception(error))))


def run_component(
    name: str, call: Callable[[Stage], T], run: str | Mapping[str, Any] = "", output: Path | None = None
) -> T:
    """The body of a KFP component: opens the stage, runs it, and turns an error into a sentence and an exit code.

    Args:
        run: the pipeline's `run` parameter (JSON of `RunContext`); the environment wins over it.
        output: the folder that the stage writes; there the failure of a sweep's trial goes (`components.stage.trials`).

    Raises:
        SystemExit: with 1 (failed), 2 (the request was wrong) or 3 (interrupted, can be continued); with 0 where a
            trial has failed and not the sweep.
    """
    context: RunContext | None = None
    stop = StopSignal()
    try:
        context = RunContext.from_environment(run)
        StageFailure.clear(context, name)
        context.check_image()
        parent = watch_parent(os.environ.get(PARENT_VARIABLE, ""))
        with stop_on_signals(stop), parent, open_stage(name, context, stop) as stage:
            result = call(stage)
        specification = getattr(sys.modules.get("__main__"), "__spec__", None)
        if specification is not None and specification.name == "kfp.dsl.executor_main":  # else it is not ours to end
            atexit.register(_leave_at_once)
        return result
    except (Exception, KeyboardInterrupt) as error:
        failure = failure_of(error, context.logs / f"{name}.log" if context else None)
        print(f"{name}: {failure.sentence}", file=sys.stderr, flush=True)  # noqa: T201
        if context is not None and not isinstance(error, LeaseLostError):  # the run goes on elsewhere
            said = StageFailure(run_id=context.run_id, stage=name, sentence=failure.sentence)
            if output is not None and is_of_trial(error, context):
                hand_on(said, output)
            said.keep(context)
        raise SystemExit(failure.exit_code) from None


def _leave_at_once() -> None:
    """Ends KFP's process without taking its libraries down in good order: with torch that costs a second."""
    if not hasattr(sys, "last_value"):  # an error after the stage must keep its exit code
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)

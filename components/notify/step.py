"""Tells a webhook how a retraining ended. Never fails the run, and never lets the webhook's address be seen."""

import os
from pathlib import Path
from typing import Any

from components.artifacts import StageFailure, Told, read_outcome
from components.context import OCCASION_VARIABLE
from components.notify.webhook import address_in, post
from components.redaction import redact
from components.stage.request import StageRequest
from components.stage.stage import Stage

_TOLD = {"model", "version", "champion", "figures"}
SUCCESS = ("COMPLETE", "SUCCEEDED")


class Request(StageRequest):
    """How the pipeline ended, and where to tell it."""

    webhook_env: str  # name of the environment variable that holds the webhook's address; empty: nobody is told
    state: str  # how Kubeflow calls the end: COMPLETE on a server, SUCCEEDED in the local runner
    error: str = ""


def run(request: Request, stage: Stage) -> bool:
    """Posts the outcome; True when the webhook took it."""
    if not request.webhook_env:
        return False
    address = address_in(request.webhook_env)
    if not address:
        stage.note(f"nobody is told: the environment variable {request.webhook_env} holds no http address")
        return False
    message = _message(request, stage)
    if trouble := post(address, message):
        stage.note(f"the webhook of {request.webhook_env} was not told: {trouble}")
        return False
    Told(occasion=os.environ.get(OCCASION_VARIABLE, "")).keep(Path(stage.context.state_dir))
    stage.note(f"told the webhook of {request.webhook_env}: {message['event']}")
    return True


def _message(request: Request, stage: Stage) -> dict[str, Any]:
    """`text` is what chat services show; the rest is for programs."""
    outcome = read_outcome(stage.context)
    failed = request.state not in SUCCESS
    event = "failed" if failed else outcome.decision if outcome else "finished"
    sentence = _failure(request, stage) if failed else outcome.sentence if outcome else "the retraining has finished"
    return {
        "text": redact(f"{stage.context.name}: {sentence}"),
        "event": event,
        "run": stage.context.name,
        "run_id": stage.context.run_id,
        **({} if failed or outcome is None else outcome.model_dump(include=_TOLD)),
    }


def _failure(request: Request, stage: Stage) -> str:
    """What the failed stage said, where that is at hand, else what Kubeflow says: often nothing but the state."""
    if said := StageFailure.of(stage.context):
        return f"failed in {said.stage}: {said.sentence}"
    return f"failed: {request.error or request.state}"

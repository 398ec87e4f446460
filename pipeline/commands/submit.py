"""`gan-pipeline submit`: the training pipeline on a cluster."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import typer

from components.stage.failures import Interrupted
from pipeline.engines.cluster.settings import read_settings
from pipeline.request.cluster import TrainingRequest, build_training


@dataclass(frozen=True)
class SubmitRequest:
    """What was typed."""

    training: TrainingRequest
    pipeline: Path | None = None
    wait: bool = False
    as_json: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Options of `pipeline.engines.cluster.settings`, by their keys."""


def submit_command(request: SubmitRequest) -> int:
    """Starts a run; with `wait`, 0 when it succeeded and 1 when it did not."""
    settings = read_settings(request.settings)
    submission = build_training(request.training, settings, request.pipeline)

    from pipeline.commands.runs import follow, report
    from pipeline.engines.cluster.client import ClusterClient
    from pipeline.engines.cluster.runs import ClusterRuns

    client = ClusterClient(settings.connection)
    runs = ClusterRuns(client)
    run = runs.submit(submission.name, submission.pipeline, submission.arguments, settings.connection.service_account)
    link = client.link("runs", run.id)
    typer.echo(f"{submission.name}: {submission.about}, in {settings.connection.namespace}", err=True)
    if not request.as_json:
        typer.echo(link)
    try:
        if request.wait:
            run = follow(runs, run.id)
    except KeyboardInterrupt:
        raise_interrupted(run.id)
    finally:
        if request.as_json:
            typer.echo(json.dumps(report(run, link)))
    return 0 if not request.wait or run.state == "SUCCEEDED" else 1


def raise_interrupted(identity: str) -> None:
    """Ctrl-C ends the waiting and nothing else."""
    typer.echo(f"gan-pipeline: no longer waiting; the run goes on: gan-pipeline runs show {identity}", err=True)
    raise typer.Exit(Interrupted.exit_code)

"""A whole sweep on this machine: trials that finish and trials that fail, again, and cut off in the middle."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from gan_models.sampling.generator import load_generator

pytestmark = pytest.mark.slow

SETTINGS = [
    "data.size=8",
    "networks.latent=8",
    "networks.generator.widths=[16]",
    "networks.discriminator.widths=[16]",
    "training.steps=20",
    "training.tick=5",
    "training.keep=2",
    "training.batch_size=16",
    "training.threads=1",
    "selection.samples=50",
    "evaluation.samples=50",
    "export.samples=4",
]
GRID = ("--vary", "optimizers.generator.lr=1e-3,1e30", "--vary", "seed=0..1")  # 1e30: no weight stays finite
TIMEOUT = 300


def command(workdir: Path) -> list[str]:
    settings = [word for setting in SETTINGS for word in ("--set", setting)]
    words = ["sweep", "--recipe", "vanilla", "--data", "digits", *settings, *GRID, "--parallel", "2"]
    program = [sys.executable, "-c", "from pipeline.cli import main; main()"]
    return [*program, *words, "--workdir", str(workdir), "--json"]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    cache = tmp_path_factory.mktemp("cache")
    return {**kept, "GAN_PIPELINE_CACHE": str(cache), "OMP_NUM_THREADS": "1"}


def sweep(workdir: Path, environment: dict[str, str]) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    done = subprocess.run(
        command(workdir), capture_output=True, text=True, env=environment, timeout=TIMEOUT, check=False
    )
    assert done.returncode == 0, done.stderr
    return done, json.loads(done.stdout.splitlines()[-1])


def started(workdir: Path) -> Counter[str]:
    """How often each stage began in the latest call."""
    events = [json.loads(line) for line in (workdir / "logs/events.jsonl").read_text().splitlines()]
    return Counter(event["stage"] for event in events if event["kind"] == "start")


def test_a_sweep_of_four_trials_of_which_two_cannot_be_trained(environment: dict[str, str], tmp_path: Path) -> None:
    workdir = tmp_path / "sweep"
    # Cut off without a word while the first trials train.
    with subprocess.Popen(command(workdir), env=environment, stderr=subprocess.PIPE, text=True) as cut_off:
        assert cut_off.stderr is not None
        for line in cut_off.stderr:
            if "2 train" in line:
                break
        cut_off.kill()
    time.sleep(1)  # not waited for: the next command does that by itself
    done, report = sweep(workdir, environment)
    assert started(workdir)["prepare_data"] == 0, "it goes on where the first one was"
    assert report["status"] == "finished"
    assert [(one["place"], one["status"]) for one in report["trials"]] == [
        (1, "finished"), (2, "finished"), (None, "failed"), (None, "failed"),
    ]  # fmt: skip
    assert report["trials"][0]["score"] <= report["trials"][1]["score"]
    assert all(one["figures"][report["metric"]] == one["figure"] for one in report["trials"][:2])
    assert all("not finite" in one["sentence"] for one in report["trials"][2:])
    best = report["trials"][0]
    assert (report["best"], report["metrics"]) == (best["key"], best["figures"])
    assert best["settings"]["optimizers.generator.lr"] == "1e-3"
    assert set(report["artifacts"]) == {"dataset", "leaderboard", "generator", "evaluation", "samples"}
    exported = load_generator(workdir / "results/samples")
    assert (exported.info.step, exported.info.seed) == (best["step"], best["seed"])
    assert "lr=1e30 seed=0: 2 train: failed:" in " ".join(done.stderr.split())

    # The same again: what finished is not done again, what failed is tried again.
    _, again = sweep(workdir, environment)
    assert started(workdir)["prepare_data"] == 0
    assert started(workdir)["train_gan"] == 2
    assert started(workdir)["evaluate_gan"] == 0
    assert again["run_id"] == report["run_id"]
    assert again["trials"] == report["trials"]
    _shown_in_mlflow(workdir, report)


def _shown_in_mlflow(workdir: Path, report: dict[str, Any]) -> None:
    from components.tracking.mlflow.client import connect
    from components.tracking.sqlite_address import sqlite_uri

    client = connect(sqlite_uri(workdir.parent / "mlflow.db"))
    experiment = client.get_experiment_by_name("gan-pipeline")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], max_results=100)
    (parent,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics == pytest.approx(report["metrics"])
    assert parent.data.params["vary.seed"] == "0..1"
    children = {run.info.run_name: run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id}
    assert {name for name in children if "lr=" in name} == {one["name"] for one in report["trials"]}
    for one in report["trials"]:
        run = children[one["name"]]
        assert run.info.status == ("FINISHED" if one["status"] == "finished" else "FAILED")
        assert run.data.params == one["settings"]
        figures = {key: value for key, value in run.data.metrics.items() if key in one["figures"]}  # beside the curves
        assert figures == pytest.approx(one["figures"])

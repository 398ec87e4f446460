"""Whole runs, as a user starts them: from images to a judged generator, again, elsewhere, cut off and continued."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

pytestmark = pytest.mark.slow

REPO = Path(__file__).parents[2]
STAGES = ["prepare_data", "train_gan", "select_checkpoint", "evaluate_gan", "export_samples"]
SETTINGS = [
    "data.size=8",
    "networks.generator.width=8",
    "networks.discriminator.width=8",
    "training.steps=60",
    "training.tick=20",
    "training.batch_size=16",
    "training.keep=3",
    "training.threads=1",
    "training.checkpoint_seconds=0",
    "selection.samples=50",
    "evaluation.samples=100",
    "export.samples=8",
]
OVERRIDES = [word for setting in SETTINGS for word in ("--set", setting)]


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str

    @property
    def report(self) -> dict[str, Any]:
        report: dict[str, Any] = json.loads(self.out.splitlines()[-1])
        return report


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-c", "from pipeline.cli import main; main()", *map(str, arguments)]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """One cache of extractors for all runs here, and no tracking server from outside."""
    cache = tmp_path_factory.mktemp("cache")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    return {**kept, "GAN_PIPELINE_CACHE": str(cache), "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def go(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Ended]:
    folder = tmp_path_factory.mktemp("elsewhere")
    # Folders of these names are common in projects that use Kubeflow; they must not be taken for ours.
    for name in ("components", "pipeline"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text("raise RuntimeError('the wrong package')\n")

    def go(*arguments: str | Path) -> Ended:
        program = [sys.executable, "-P", "-c", "from pipeline.cli import main; main()"]
        done = subprocess.run(
            [*program, *map(str, arguments)], capture_output=True, text=True, env=environment, cwd=folder, check=False
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Ended(done.returncode, done.stdout, done.stderr)

    return go


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def first(go: Callable[..., Ended], store: Path) -> Ended:
    """The run that the others are compared with."""
    ended = go("run", "--data", "digits", "--workdir", store / "first", "--json", *OVERRIDES)
    assert ended.code == 0, ended.err
    return ended


def weights(workdir: Path) -> str:
    return hashlib.sha256((workdir / "results/samples/generator.safetensors").read_bytes()).hexdigest()


def started(workdir: Path) -> list[str]:
    """The stages that ran in the latest call."""
    lines = (workdir / "logs/events.jsonl").read_text().splitlines() if (workdir / "logs/events.jsonl").exists() else []
    events = [json.loads(line) for line in lines]
    return [event["stage"] for event in events if event["kind"] == "start"]


def test_the_last_line_is_the_report(first: Ended, store: Path) -> None:
    report = first.report
    assert first.out.count("\n") == 1, "all else goes to standard error"
    assert set(report) == {"run_id", "status", "workdir", "metrics", "artifacts"}
    assert (report["status"], report["workdir"]) == ("finished", str(store / "first"))
    assert set(report["artifacts"]) == {"dataset", "training", "generator", "evaluation", "samples"}
    assert any(name.startswith("FD-classifier") for name in report["metrics"])
    assert all(isinstance(value, float) for value in report["metrics"].values())


def test_everything_is_where_the_report_says(first: Ended) -> None:
    artifacts = {name: Path(place) for name, place in first.report["artifacts"].items()}
    samples = artifacts["samples"]
    assert (samples / "grid.png").is_file()
    assert len(list((samples / "images").glob("*.png"))) == 8
    assert pq.read_table(samples / "samples.parquet").num_rows == 8
    assert (artifacts["evaluation"] / "report.md").is_file()
    shown = artifacts["evaluation"].resolve().parent  # by Kubeflow's own page
    assert (shown / "page").read_text() == (artifacts["evaluation"] / "report.html").read_text()
    assert "| metric |" in (shown / "summary").read_text()
    assert set(json.loads((shown / "confusion").read_text())) <= {"confusionMatrix"}  # empty without classes
    assert (artifacts["training"] / "history.csv").is_file()
    assert (artifacts["generator"] / "generator.safetensors").is_file()


def test_people_see_a_table_and_where_to_look(first: Ended) -> None:
    assert "real images" in first.err
    assert "FD-classifier" in first.err
    assert "grid.png" in first.err
    rows = [line for line in first.err.splitlines() if re.search(r"-classifier +(lower|higher) ", line)]
    assert len(rows) > 5  # whole names, each on a line of its own
    assert [row for row in rows if len(row) > 80 or "…" in row or row.endswith("±")] == []
    for title in ("prepare data", "train", "select checkpoint", "evaluate", "export"):
        assert title in first.err


def test_the_same_command_again_does_nothing_twice(first: Ended, go: Callable[..., Ended], store: Path) -> None:
    again = go("run", "--data", "digits", "--workdir", store / "first", "--json", *OVERRIDES)
    assert again.code == 0, again.err
    assert started(store / "first") == []
    assert again.report == first.report


def test_another_setting_of_the_end_keeps_what_comes_before(
    first: Ended, go: Callable[..., Ended], store: Path
) -> None:
    settings = [*OVERRIDES, "--set", "export.samples=4"]
    other = go("run", "--data", "digits", "--workdir", store / "first", "--json", *settings)
    assert other.code == 0, other.err
    assert started(store / "first") == ["export_samples"]
    assert other.report["run_id"] != first.report["run_id"]
    back = go("run", "--data", "digits", "--workdir", store / "first", *OVERRIDES)
    assert (back.code, started(store / "first")) == (0, [])


def test_the_compiled_pipeline_gives_the_same_weights(first: Ended, go: Callable[..., Ended], store: Path) -> None:
    file = store / "training.yaml"
    assert go("compile", "-o", file, "--data", "digits", *OVERRIDES).code == 0
    ended = go("run", "--pipeline", file, "--workdir", store / "compiled", "--json")
    assert ended.code == 0, ended.err
    assert started(store / "compiled") == STAGES
    assert weights(store / "compiled") == weights(store / "first")
    assert ended.report["metrics"] == first.report["metrics"]


def test_mlflow_has_one_parent_with_five_children(first: Ended, store: Path) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{store / 'mlflow.db'}")
    (experiment,) = [each for each in client.search_experiments() if each.name == "gan-pipeline"]
    ours = f"tags.`gan_pipeline.run_id` = '{first.report['run_id']}'"
    runs = {run.data.tags["gan_pipeline.stage"]: run for run in client.search_runs([experiment.experiment_id], ours)}
    assert set(runs) == {"pipeline", *STAGES}
    parent = runs.pop("pipeline")
    assert parent.info.run_name == "first"
    assert {run.data.tags["mlflow.parentRunId"] for run in runs.values()} == {parent.info.run_id}
    assert {run.info.status for run in (parent, *runs.values())} == {"FINISHED"}
    assert parent.data.params["training.steps"] == "60"
    assert parent.data.metrics
    losses = client.get_metric_history(runs["train_gan"].info.run_id, "G/loss")
    assert [metric.step for metric in losses] == [20, 40, 60]


def test_a_run_that_was_stopped_continues(
    first: Ended, go: Callable[..., Ended], environment: dict[str, str], store: Path
) -> None:
    workdir = store / "stopped"
    # A checkpoint and a report at every step: slow enough to be hit, with the same weights in the end.
    settings = [*OVERRIDES, "--set", "training.tick=1"]
    process = subprocess.Popen(
        command("run", "--data", "digits", "--workdir", workdir, *settings),
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while not list(workdir.glob("training/*/checkpoints/*")):
        assert process.poll() is None, "it ended before it could be cut off"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.terminate()
    assert process.wait(timeout=60) == 3
    assert json.loads((workdir / "run.json").read_text())["status"] == "interrupted"
    ended = go("run", "--data", "digits", "--workdir", workdir, "--json", *settings)
    assert ended.code == 0, ended.err
    assert "prepare_data" not in started(workdir)
    assert weights(workdir) == weights(store / "first")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGKILL, -9)])
def test_the_ui_shows_the_store_until_it_is_told_to_stop_or_killed(
    first: Ended, environment: dict[str, str], store: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # As from a script with `&`: the shell has its background processes ignore SIGINT.
    in_background = ["sh", "-c", 'trap "" INT; exec "$@"', "sh"]
    ui = subprocess.Popen(
        [*in_background, *command("ui", "--port", port, "--workdir", store / "first")],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    try:
        assert ui.stdout is not None
        address, page = ui.stdout.readline().split()[0].split("/#/")
        assert address == f"http://127.0.0.1:{port}"
        assert re.fullmatch(r"experiments/\d+/runs/[0-9a-f]{32}", page)  # of the run
        query = json.dumps({"max_results": 10}).encode()
        search = f"{address}/api/2.0/mlflow/experiments/search"
        asked = urllib.request.Request(search, query, {"Content-Type": "application/json"})
        with urllib.request.urlopen(asked, timeout=30) as answer:
            assert "gan-pipeline" in {each["name"] for each in json.load(answer)["experiments"]}
        ui.send_signal(number)
        assert ui.wait(timeout=120) == code
    finally:
        ui.kill()
    end = time.monotonic() + 60
    while True:  # its server ends with it, or as soon as that sees it gone
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            break
        assert code != 0, "asked to stop, it waits for its server"
        assert time.monotonic() < end, "the server stayed behind"
        time.sleep(0.1)
    assert not list(tmp_path.iterdir()), "a server of MLflow must not litter where it is started"


def test_a_tracking_server_that_is_away_fails_nothing(go: Callable[..., Ended], first: Ended, store: Path) -> None:
    """The second half of a run, with a server that never answers; then everything is sent."""
    settings = [*OVERRIDES, "--set", "export.samples=2"]
    place = ["--data", "digits", "--workdir", str(store / "first")]
    away = go("run", *place, "--json", "--tracking-uri", "http://127.0.0.1:9", *settings)
    assert away.code == 0, away.err
    assert "no tracking server answers" in away.err
    assert "wait in" in away.err
    sent = go("sync", store / "first", "--tracking-uri", f"sqlite:///{store / 'mlflow.db'}")
    assert sent.code == 0, sent.err


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["--data", "folder:{one}"], "one image"),
        (["--data", "folder:{damaged}"], "cannot be used"),
        (["--data", "folder:{few}"], "split"),
    ],
)
def test_a_request_that_turns_out_wrong_in_a_stage(
    go: Callable[..., Ended], tmp_path: Path, settings: list[str], words: str
) -> None:
    from PIL import Image

    folders = {name: tmp_path / name for name in ("one", "damaged", "few")}
    for folder in folders.values():
        folder.mkdir()
    for name, count in {"one": 1, "few": 2}.items():
        for index in range(count):
            Image.new("L", (8, 8), index).save(folders[name] / f"{index}.png")
    for index in range(5):
        (folders["damaged"] / f"{index}.png").write_bytes(b"no image")
    where = [argument.format(**folders) for argument in settings]
    ended = go("run", *where, "--set", "data.size=8", "--workdir", tmp_path / "run", "--json")
    assert ended.code == 2, ended.err
    assert words in ended.err.splitlines()[-1]
    assert ended.report["status"] == "failed"
    assert not (tmp_path / "run/results").exists()
    assert not list((tmp_path / "run/artifacts").rglob("table.json"))


def test_random_kills_change_nothing(environment: dict[str, str]) -> None:
    """A few of the kills of benchmarks/kill.py, with its comparison of weights and of MLflow's history."""
    script = [sys.executable, str(REPO / "benchmarks/kill.py"), "--kills", "3", "--set", "training.steps=600"]
    done = subprocess.run(script, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["differences"] == []

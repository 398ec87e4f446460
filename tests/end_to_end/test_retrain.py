"""Retraining as a schedule does it: a first champion, equal data, more data, a decision by figures, and back."""

from __future__ import annotations

import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from sklearn.datasets import load_digits

from pipeline.scheduling.store import ScheduleStore

pytestmark = pytest.mark.slow

PROGRAM = [sys.executable, "-c", "from pipeline.cli import main; main()"]
SETTINGS = [
    "data.size=8",
    "networks.generator.width=8",
    "networks.discriminator.width=8",
    "training.tick=10",
    "training.batch_size=16",
    "training.keep=1",
    "training.threads=1",
    "selection.samples=50",
    "evaluation.samples=100",
    "export.samples=4",
]
NO_FLOORS = "evaluation.floors={recall: null, coverage: null}"  # a few steps teach nobody to draw


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str

    @property
    def report(self) -> dict[str, Any]:
        report: dict[str, Any] = json.loads(self.out.splitlines()[-1])
        return report


@dataclass(frozen=True)
class Place:
    """A folder of images that grows, a store, a webhook."""

    folder: Path
    environment: dict[str, str]
    told: list[dict[str, Any]]

    def grow(self, start: int, end: int) -> None:
        digits = load_digits()
        for index in range(start, end):
            image = Image.fromarray((digits.images[index] / 16 * 255).astype("uint8"))
            place = self.folder / "images" / str(digits.target[index]) / f"{index}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            image.save(place)

    def ask(self, *arguments: str) -> Ended:
        done = subprocess.run(
            [*PROGRAM, *arguments],
            capture_output=True,
            text=True,
            env=self.environment,
            cwd=self.folder,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Ended(done.returncode, done.stdout, done.stderr)

    def request(self, steps: int = 20) -> list[str]:
        settings = [*SETTINGS, NO_FLOORS, f"training.steps={steps}"]
        sets = [word for setting in settings for word in ("--set", setting)]
        options = ["--model", "digits", "--warm-start", "--webhook-env", "HOOK"]
        return ["--data", "folder:images", "--workdir", "runs/digits", *options, *sets]

    def retrain(self, *more: str, steps: int = 20) -> dict[str, Any]:
        ended = self.ask("retrain", *self.request(steps), "--json", *more)
        assert ended.code == 0, ended.err
        return ended.report

    def stages(self) -> list[str]:
        lines = (self.folder / "runs/digits/logs/events.jsonl").read_text().splitlines()
        return [event["stage"] for event in map(json.loads, lines) if event["kind"] == "start"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    told: list[dict[str, Any]] = []

    class Hook(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    folder = tmp_path_factory.mktemp("retrain")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    hook = f"http://127.0.0.1:{server.server_address[1]}/secret-path"
    own = {"GAN_PIPELINE_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1", "HOOK": hook}
    yield Place(folder, {**kept, **own}, told)
    server.shutdown()


@pytest.fixture(scope="module")
def first(place: Place) -> dict[str, Any]:
    place.grow(0, 300)
    return place.retrain()


@pytest.fixture(scope="module")
def second(place: Place, first: dict[str, Any]) -> dict[str, Any]:
    """On equal data."""
    report = place.retrain()
    assert place.stages().count("train_gan") == 0
    return report


@pytest.fixture(scope="module")
def third(place: Place, second: dict[str, Any]) -> dict[str, Any]:
    """On grown data, with a training that is long enough to be better."""
    place.grow(300, 450)
    return place.retrain(steps=150)


def test_the_first_becomes_the_champion(first: dict[str, Any], place: Place) -> None:
    assert (first["status"], first["decision"]) == ("finished", "promoted")
    assert (first["version"], first["champion"]) == ("1", "1")
    assert first["sentence"] == "version 1 of digits is the champion now: digits has no champion: this is the first"
    assert set(first["artifacts"]) == {"dataset", "generator", "evaluation", "samples"}
    assert all(Path(path).is_dir() for path in first["artifacts"].values())


def test_on_equal_data_it_stops_after_the_preparation_with_a_sentence(
    second: dict[str, Any], first: dict[str, Any]
) -> None:
    assert (second["decision"], second["champion"]) == ("unchanged", "1")
    assert second["sentence"].startswith("nothing to train: data (")
    assert second["run_id"] != first["run_id"]


def test_on_grown_data_it_trains_compares_and_decides_by_the_figures(third: dict[str, Any]) -> None:
    figures = {name.removeprefix("comparison/"): value for name, value in third["metrics"].items()}
    assert figures["difference"] == pytest.approx(figures["challenger"] - figures["champion"])
    assert figures["low"] < figures["difference"] < figures["high"]
    variety_lost = "draws less of what there is" in third["sentence"]
    assert third["decision"] == ("promoted" if figures["high"] < 0 and not variety_lost else "kept")
    assert third["version"] == "2"
    assert "95 % interval" in third["sentence"]
    assert any(name.startswith("FD-classifier") for name in third["metrics"])


def test_the_webhook_was_told_each_time_and_its_address_is_nowhere(third: dict[str, Any], place: Place) -> None:
    assert [message["event"] for message in place.told[:3]] == ["promoted", "unchanged", third["decision"]]
    for path in (place.folder / "runs").rglob("*"):
        if path.is_file():
            assert b"secret-path" not in path.read_bytes(), path


def test_mlflow_has_a_run_for_each_with_its_decision(third: dict[str, Any], place: Place) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{place.folder / 'runs/mlflow.db'}")
    experiment = client.get_experiment_by_name("gan-pipeline")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], "tags.`gan_pipeline.stage` = 'pipeline'")
    decisions = {run.data.tags["gan_pipeline.run_id"]: run.data.tags["decision"] for run in runs}
    assert decisions[third["run_id"]] == third["decision"]
    assert sorted(decisions.values()) == sorted(["promoted", "unchanged", third["decision"]])
    assert {run.info.status for run in runs} == {"FINISHED"}


def test_models_show_lineage_and_a_rollback_undoes_a_promotion(third: dict[str, Any], place: Place) -> None:
    store = ["--tracking-uri", f"sqlite:///{place.folder / 'runs/mlflow.db'}"]
    if third["decision"] == "kept":
        assert place.ask("models", "promote", "digits", "--version", "2", *store).code == 0
    shown = place.ask("models", "show", "digits", *store)
    assert shown.code == 0, shown.err
    assert "champion   version 2 of digits" in shown.out
    assert third["run_id"] in shown.out
    report = json.loads(place.ask("models", "show", "digits", "--json", *store).out)
    versions = {each["version"]: each for each in report["versions"]}
    assert versions["1"]["lineage"]["data_fingerprint"] != versions["2"]["lineage"]["data_fingerprint"]
    listed = place.ask("models", "list", *store)
    assert "digits" in listed.out
    back = place.ask("models", "rollback", "digits", *store)
    assert back.out.strip() == "version 1 of digits is the champion again, version 2 was"
    assert place.ask("models", "promote", "digits", "--version", "2", *store).code == 0


def test_a_schedule_retrains_once_for_its_occasion(third: dict[str, Any], place: Place) -> None:
    """The scheduler, the store and the run of a schedule, with nothing in their places."""
    made = place.ask("schedule", "ensure", "nightly", "--cron", "30 2 * * *", *place.request(150))
    assert made.code == 0, made.err
    assert "nightly: created" in made.out
    assert place.ask("schedule", "run-now", "nightly").code == 0
    scheduler = subprocess.Popen(
        [*PROGRAM, "scheduler"], env=place.environment, cwd=place.folder, stderr=subprocess.DEVNULL
    )
    try:
        store = ScheduleStore(place.folder / "runs/schedules.db")
        for _ in range(1200):
            (run,) = store.runs("nightly")
            if run.state in ("finished", "failed"):
                break
            threading.Event().wait(0.1)
    finally:
        scheduler.terminate()
        assert scheduler.wait(timeout=60) == 0
    assert (run.state, run.sentence.split(":")[0]) == ("finished", "nothing to train")
    record = json.loads((place.folder / "runs/digits/run.json").read_text())
    assert record["occasion"].startswith("nightly@")
    again = subprocess.run(
        [*PROGRAM, "retrain", *place.request(150)],
        env={**place.environment, "GAN_PIPELINE_OCCASION": record["occasion"]},
        cwd=place.folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "this retraining has been done" in again.stderr
    assert json.loads((place.folder / "runs/digits/run.json").read_text()) == record


def test_a_failure_is_told_and_the_champion_stays(third: dict[str, Any], place: Place) -> None:
    before = len(place.told)
    failed = place.ask("retrain", *place.request(), "--set", "data.max_bad_share=0.0", "--set", "data.test=0.0001")
    assert failed.code == 2
    assert [message["event"] for message in place.told[before:]] == ["failed"]
    assert "failed in prepare_data:" in place.told[-1]["text"]


def test_the_first_of_another_model_becomes_none_where_it_falls_short_of_a_floor(
    third: dict[str, Any], place: Place
) -> None:
    """Nor is it trained again, unless something changed. The training itself is the one of before."""
    ask = ["--model", "strict", "--set", "evaluation.floors={coverage: 1.0}"]
    report = place.retrain(*ask, steps=150)
    assert (report["decision"], report["version"], report["champion"]) == ("kept", "1", "")
    assert report["sentence"].startswith("strict stays without a champion; version 1 is short of the recipe's floors (")
    assert "coverage-classifier is 0" in report["sentence"]
    again = place.retrain(*ask, steps=150)
    assert again["decision"] == "unchanged"
    assert "version 1 of strict is of the same data, recipe and seed and was kept out;" in again["sentence"]

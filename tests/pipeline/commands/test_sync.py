"""`gan-pipeline sync`: all that a work directory holds, or a sentence on what is not sent."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.context import RunContext
from components.stage.stage import open_stage
from components.tracking.mlflow.client import connect
from components.tracking.mlflow.runs import RUN_TAG
from components.tracking.sqlite_address import sqlite_uri
from pipeline.cli import call
from pipeline.workdir import RunRecord, WorkDirectory

AWAY = "http://127.0.0.1:9"


@pytest.fixture
def workdir(tmp_path: Path) -> Path:
    """Of three runs: two whose server was away, the last one's address written down, and one for another store."""
    place = tmp_path / "work"
    place.mkdir()
    stores = {"one": AWAY, "elsewhere": "http://127.0.0.1:8", "last": AWAY}
    for run, uri in stores.items():
        context = RunContext(run_id=run, name=f"run {run}", tracking_uri=uri, state_dir=str(place), relay="external")
        with open_stage("train_gan", context) as stage:
            stage.log_metrics({"loss": 1.0}, step=1)
    record = RunRecord(
        run_id="last", name="run last", digest="d", recipe="dcgan", source="digits", seed=0, experiment="gan-pipeline",
        tracking_uri=AWAY, code_version="1",
    )  # fmt: skip
    WorkDirectory(place).write_record(record)
    return place


def sent(uri: str) -> set[str]:
    client = connect(uri)
    found = client.search_runs([each.experiment_id for each in client.search_experiments()])
    return {run.data.tags[RUN_TAG] for run in found if "loss" in run.data.metrics}


def test_an_address_that_is_given_is_for_every_run(
    workdir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    uri = sqlite_uri(tmp_path / "mlflow.db")
    assert call(["sync", str(workdir), "--tracking-uri", uri]) == 0
    assert sent(uri) == {"one", "elsewhere", "last"}
    assert "all of run one, run elsewhere, run last is in" in capsys.readouterr().err
    assert call(["sync", str(workdir), "--tracking-uri", uri]) == 0


def test_without_one_what_was_for_another_store_is_not_called_sent(
    workdir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server that they were for is back, as one at another place here."""
    uri = sqlite_uri(tmp_path / "mlflow.db")
    for file in workdir.rglob("run.json"):
        file.write_text(file.read_text().replace(AWAY, uri))
    assert call(["sync", str(workdir)]) == 1
    said = capsys.readouterr().err
    assert "all of run one, run last is in" in said
    assert "but not run elsewhere, begun for another store" in said
    assert "give --tracking-uri" in said
    assert sent(uri) == {"one", "last"}

"""Trackers: chosen by the address's scheme, and one of a package's own."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from components.context import RunContext
from components.stage.stage import open_stage
from components.tracking import backend
from components.tracking.backend import champions_of, check_tracking, tracker_of
from components.tracking.relay import Relay
from gan_models import plugins
from gan_models.errors import RequestError
from gan_models.plugins import Registry
from tests.extending import examples, write


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """As if the page's example were installed."""
    monkeypatch.syspath_prepend(write(examples()["gan-lines"], tmp_path_factory.mktemp("package")))
    point = EntryPoint("lines", "lines:TRACKER", "gan_pipeline.trackers")
    monkeypatch.setattr(plugins, "_points", lambda: {"gan_pipeline.trackers": (point,)})
    own = backend.TRACKERS
    monkeypatch.setattr(backend, "TRACKERS", Registry(own.kind, own.group, own._own))
    yield
    sys.modules.pop("lines", None)


def sent(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def track(context: RunContext) -> None:
    with open_stage("train_gan", context) as stage:
        stage.log_params({"seed": 0})
        for step in (1, 2):
            stage.log_metrics({"loss": 0.5}, step=step)


def test_a_stage_is_tracked_by_a_package_s_own_tracker(lines: None, tmp_path: Path) -> None:
    file, titles = tmp_path / "runs.jsonl", {"train_gan": "2 train"}
    uri = f"lines:{file}"
    context = RunContext(state_dir=str(tmp_path / "work"), tracking_uri=uri, relay="external", titles=titles)
    assert tracker_of(uri).check(uri) == "reachable"
    track(context)
    with Relay(context) as relay:
        assert not relay.drain(30)
    lines_sent = sent(file)
    assert [entry["kind"] for entry in lines_sent] == ["start", "params", "metrics", "metrics", "end"]
    assert {entry["stage"] for entry in lines_sent} == {"2 train"}


def test_a_place_that_is_away_is_a_sentence_and_costs_nothing(lines: None, tmp_path: Path) -> None:
    uri = f"lines:{tmp_path / 'disk' / 'runs.jsonl'}"
    assert tracker_of(uri).check(uri) == "away"
    context = RunContext(state_dir=str(tmp_path / "work"), tracking_uri=uri, relay="external")
    track(context)
    with Relay(context) as relay:
        pending = relay.drain(1)
        assert "5 entries wait in" in pending.sentence
        assert "to be sent to the file of lines: lines:" in pending.sentence
        (tmp_path / "disk").mkdir()
        assert not relay.drain(30)
    assert len(sent(tmp_path / "disk" / "runs.jsonl")) == 5


def test_a_retraining_needs_a_tracker_that_keeps_models(lines: None, tmp_path: Path) -> None:
    uri = f"lines:{tmp_path / 'runs.jsonl'}"
    for refuses in (partial(check_tracking, with_models=True), champions_of):
        with pytest.raises(RequestError, match=r"the file of lines at .* keeps no registry of models"):
            refuses(uri)
    assert check_tracking(f"sqlite:///{tmp_path}/mlflow.db", with_models=True) == "reachable"
    with pytest.raises(RequestError, match="a retraining needs MLflow, which keeps the champion"):
        champions_of("")


def test_a_misspelt_scheme_is_told_the_nearest_one(lines: None) -> None:
    with pytest.raises(RequestError, match=r"unknown tracking address scheme 'line'.*did you mean 'lines'"):
        tracker_of("line:/runs.jsonl")


def test_an_address_is_checked_without_mlflow_and_torch() -> None:
    code = (
        "import sys; from components.tracking.backend import tracker_of; uri = 'sqlite:////tmp/x/y.db';"
        "tracker_of(uri).check(uri);"
        "sys.exit(any(name in sys.modules for name in ('torch', 'mlflow')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

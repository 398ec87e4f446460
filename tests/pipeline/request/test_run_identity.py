"""Which run a work directory belongs to: the same request continues, another one begins anew."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from components.context import RunContext
from components.tracking.journal import Journal, last_kind
from pipeline.commands.run import continue_or_begin
from pipeline.request.plan import Place, Plan, make_plan
from pipeline.request.request import Request
from pipeline.workdir import WorkDirectory, open_workdir


@pytest.fixture
def plan() -> Plan:
    return make_plan(Request(recipe="dcgan", data="digits"))


@pytest.fixture
def workdir(tmp_path: Path) -> Iterator[WorkDirectory]:
    with open_workdir(tmp_path / "run") as opened:
        yield opened


@pytest.fixture
def place(workdir: WorkDirectory, tmp_path: Path) -> Place:
    return Place("run", workdir.root, f"sqlite:///{tmp_path}/mlflow.db")


def test_the_same_plan_continues_the_same_run(workdir: WorkDirectory, plan: Plan, place: Place) -> None:
    begun = continue_or_begin(workdir, plan, place)
    for status in ("running", "failed", "interrupted", "finished"):
        workdir.write_record(begun.model_copy(update={"status": status}))
        renamed = replace(place, name="another name", tracking_uri="http://elsewhere")
        assert continue_or_begin(workdir, plan, renamed).run_id == begun.run_id


@pytest.mark.parametrize("change", [{"seed": 1}, {"code_version": "0.1.0+1"}, {"source_version": "newer"}])
def test_another_plan_is_another_run(
    workdir: WorkDirectory, plan: Plan, place: Place, change: dict[str, object]
) -> None:
    begun = continue_or_begin(workdir, plan, place)
    workdir.write_record(begun)
    (workdir.artifacts / "samples").mkdir()
    workdir.link_results({"samples": workdir.artifacts / "samples"})
    other = continue_or_begin(workdir, replace(plan, **change), place)
    assert other.run_id != begun.run_id
    assert not workdir.results.exists(), "the results of other settings are not this run's"


def test_a_killed_run_that_is_given_up_is_ended_in_its_journals(
    workdir: WorkDirectory, plan: Plan, place: Place
) -> None:
    killed = continue_or_begin(workdir, plan, place)
    workdir.write_record(killed)
    folder = RunContext(run_id=killed.run_id, state_dir=str(workdir.root)).tracking_folder
    for name in ("pipeline", "train_gan"):
        journal = Journal(folder, name)
        journal.append({"kind": "start"})
        journal.close()
    continue_or_begin(workdir, replace(plan, seed=1), place)
    for name in ("pipeline", "train_gan"):
        assert last_kind(folder / f"{name}.jsonl") == "end"


def test_a_password_is_never_written_down(workdir: WorkDirectory, plan: Plan, place: Place) -> None:
    secret = replace(place, tracking_uri="https://ann:s3cret@mlflow.example")
    workdir.write_record(continue_or_begin(workdir, plan, secret))
    assert "s3cret" not in workdir.record_file.read_text()
    assert json.loads(workdir.record_file.read_text())["tracking_uri"] == ""

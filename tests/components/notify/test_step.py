"""The webhook: told once, in words for people and for programs; whatever it does, its secret is kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from components.artifacts import Outcome, Told
from components.context import OCCASION_VARIABLE, RunContext
from components.notify import step, webhook
from components.stage.progress import EVENTS_VARIABLE
from components.stage.stage import Stage, open_stage, run_component
from gan_models.errors import RunError
from tests.webhook import Hook
from tests.webhook import webhook as a_webhook

SECRET = "hook-5f2c"


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Hook]]:
    with a_webhook() as (handler, address):
        monkeypatch.setenv("FACES_HOOK", f"{address}/{SECRET}")
        monkeypatch.setattr(webhook, "WAIT_SECONDS", 0.0)
        monkeypatch.delenv(EVENTS_VARIABLE, raising=False)
        yield handler


def tell(folder: Path, state: str = "SUCCEEDED", variable: str = "FACES_HOOK", error: str = "") -> bool:
    context = RunContext(run_id="r1", name="faces", state_dir=str(folder))
    with open_stage("notify", context) as stage:
        return step.run(step.Request(webhook_env=variable, state=state, error=error), stage)


def test_a_promotion(hook: type[Hook], tmp_path: Path) -> None:
    outcome = Outcome(
        run_id="r1", decision="promoted", sentence="version 2 is the champion now", model="faces", version="2"
    )
    outcome.write(tmp_path)
    assert tell(tmp_path)
    (message,) = hook.got
    assert message["text"] == "faces: version 2 is the champion now"
    assert (message["event"], message["model"], message["version"]) == ("promoted", "faces", "2")


@pytest.mark.parametrize("state", ["COMPLETE", "SUCCEEDED"])
def test_what_kubeflow_calls_success(hook: type[Hook], tmp_path: Path, state: str) -> None:
    tell(tmp_path, state)
    assert hook.got[0]["event"] == "finished"
    assert hook.got[0]["text"] == "faces: the retraining has finished"


def test_a_failure_says_what_the_stage_said(hook: type[Hook], tmp_path: Path) -> None:
    """In another process, with Kubeflow's word for it and no error: a server gives none."""

    def fail(stage: Stage) -> None:
        raise RunError("the disk is full")

    run = {"run_id": "r1", "name": "faces", "state_dir": str(tmp_path)}
    with pytest.raises(SystemExit):
        run_component("train_gan", fail, run=run)
    tell(tmp_path, "FAILED")
    assert hook.got[0]["event"] == "failed"
    assert hook.got[0]["text"] == "faces: failed in train_gan: the disk is full"
    assert run_component("train_gan", lambda stage: None, run=run) is None
    tell(tmp_path, "FAILED")
    assert hook.got[1]["text"] == "faces: failed: FAILED", "a later attempt got over it"


def test_the_failure_of_another_run_is_not_told(hook: type[Hook], tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        run_component("train_gan", lambda stage: 1 / 0, run={"run_id": "r0", "state_dir": str(tmp_path)})
    tell(tmp_path, "FAILED", error="pod deleted")
    assert hook.got[0]["text"] == "faces: failed: pod deleted"


def test_the_outcome_of_another_run_is_not_told(hook: type[Hook], tmp_path: Path) -> None:
    Outcome(run_id="r0", decision="promoted", sentence="yesterday's", model="faces").write(tmp_path)
    tell(tmp_path)
    assert hook.got[0]["event"] == "finished"


def test_that_it_was_told_is_kept_for_who_started_the_run(
    hook: type[Hook], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(OCCASION_VARIABLE, "nightly@2026-11-22")
    hook.answers[:] = [500] * 3
    assert not tell(tmp_path)
    assert not Told.has_been(tmp_path, "nightly@2026-11-22")
    assert tell(tmp_path)
    assert Told.has_been(tmp_path, "nightly@2026-11-22")
    assert not Told.has_been(tmp_path, "nightly@2026-11-23")


def test_it_is_tried_again(hook: type[Hook], tmp_path: Path) -> None:
    hook.answers[:] = [500, 503]
    assert tell(tmp_path)
    assert len(hook.got) == 3


@pytest.mark.parametrize("answers", [[404] * 3, [500] * 3, [301] * 3, [302] * 3, [303] * 3, [307] * 3])
def test_a_webhook_that_refuses_fails_nothing_and_its_address_is_seen_nowhere(
    hook: type[Hook], tmp_path: Path, answers: list[int], capfd: pytest.CaptureFixture[str]
) -> None:
    hook.answers[:] = answers
    assert not tell(tmp_path)
    written = "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file())
    out, err = capfd.readouterr()
    assert "the webhook of FACES_HOOK was not told: it answered" in written
    assert SECRET not in written + out + err


@pytest.mark.parametrize(
    "address", ["", "slack", "http://127.0.0.1:9/hook-5f2c", "http://[hook-5f2c", "http://hook-5f2c:x/"]
)
def test_addresses_that_lead_nowhere(
    hook: type[Hook], tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FACES_HOOK", address)
    assert not tell(tmp_path)
    out, err = capfd.readouterr()
    assert SECRET not in out + err


def test_nobody_to_tell(tmp_path: Path) -> None:
    assert not tell(tmp_path, variable="")

"""What becomes of a sweep when a trial fails: its stages hand the failure on, and end well."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from components.artifacts import StageFailure
from components.context import RunContext, Trial
from components.lease import LeaseLostError
from components.stage.failures import Interrupted
from components.stage.request import StageRequest, run_step
from components.stage.trials import failure_in
from components.tracking.journal import read_all
from gan_models.errors import LostError, RequestError, RunError

REPO = Path(__file__).parents[3]
TRIAL = Trial(key="k-0", name="lr=1e30", settings={"optimizers.generator.lr": "1e30"})


class Request(StageRequest):
    before: Path
    output: Path


def step_of(do: Callable[[Request], Any]) -> ModuleType:
    """A stage's module `step`."""
    return SimpleNamespace(  # type: ignore[return-value]
        __name__="components.train_gan.step", Request=Request, run=lambda request, stage: do(request)
    )


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunContext:
    """Of the trial, as the stage finds it."""
    sweep = RunContext(state_dir=str(tmp_path / "state"), tracking_uri="sqlite:////x/y.db", relay="external")
    monkeypatch.setenv("GAN_PIPELINE_RUN", sweep.model_dump_json())
    monkeypatch.setenv("GAN_PIPELINE_EVENTS", str(tmp_path / "events.jsonl"))
    return sweep.of_trial(TRIAL)


RUN = json.dumps({"trial": TRIAL.model_dump()})


def fail(error: BaseException) -> Callable[[Request], Any]:
    def do(request: Request) -> None:
        raise error

    return do


def call(do: Callable[[Request], Any], tmp_path: Path, run: str = RUN) -> Any:
    return run_step(step_of(do), run, before=str(tmp_path / "before"), output=str(tmp_path / "output"))


@pytest.mark.parametrize(
    "error", [RunError("the loss is NaN"), RequestError("it cannot be"), ValueError("odd"), MemoryError()]
)
def test_a_failure_of_the_trial_takes_the_place_of_its_output(
    context: RunContext, tmp_path: Path, error: Exception
) -> None:
    with pytest.raises(SystemExit) as ended:
        call(fail(error), tmp_path)
    assert ended.value.code == 0
    said = failure_in(tmp_path / "output")
    assert said is not None
    assert (said.stage, said.run_id) == ("train_gan", context.run_id)
    kinds = [json.loads(line)["kind"] for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert kinds == ["start", "trial-failed", "end"], "no error of the sweep"
    last = [*read_all(context.tracking_folder / "train_gan.jsonl")][-1]
    assert last["status"] == "FAILED", "in MLflow it has failed"
    assert (context.logs / "train_gan.log").is_file(), "a log of its own"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Interrupted(), 3),
        (LeaseLostError("taken over"), 1),
        (LostError("the pod is gone"), 1),
        (OSError(28, "No space left on device"), 1),
        (RuntimeError("PytorchStreamWriter failed writing file"), 1),
    ],
)
def test_what_the_settings_are_not_to_blame_for_stops_the_sweep(
    context: RunContext, tmp_path: Path, error: BaseException, code: int
) -> None:
    with pytest.raises(SystemExit) as ended:
        call(fail(error), tmp_path)
    assert ended.value.code == code
    assert failure_in(tmp_path / "output") is None


def test_without_a_sweep_a_failure_fails(context: RunContext, tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        call(fail(RunError("the loss is NaN")), tmp_path, "{}")
    assert ended.value.code == 1
    assert failure_in(tmp_path / "output") is None


def test_later_stages_pass_it_on_and_do_nothing(context: RunContext, tmp_path: Path) -> None:
    (tmp_path / "before").mkdir()
    said = StageFailure(run_id="x", stage="train_gan", sentence="the loss is NaN")
    said.write(tmp_path / "before")
    with pytest.raises(SystemExit) as ended:
        call(fail(AssertionError("it was run")), tmp_path)
    assert ended.value.code == 0
    assert failure_in(tmp_path / "output") == said
    assert not context.tracking_folder.exists(), "no run in MLflow for what was not done"


def test_what_goes_well_is_left_alone(context: RunContext, tmp_path: Path) -> None:
    assert call(lambda request: 7, tmp_path) == 7


def test_kfp_gets_the_outputs_of_a_stage_that_failed(tmp_path: Path) -> None:
    """Later stages of the trial are given them: without the file that says so there would be none."""
    outputs = {
        "outputFile": str(tmp_path / "task/executor_output.json"),
        "artifacts": {"training": {"artifacts": [{"name": "training", "uri": str(tmp_path / "task/training")}]}},
    }
    code = """
import sys
from pathlib import Path
from components.artifacts import StageFailure
from components.stage.trials import hand_on
hand_on(StageFailure(run_id="x", stage="train_gan", sentence="NaN"), Path(sys.argv[-1]))
"""
    words = ["--executor_input", json.dumps({"inputs": {}, "outputs": outputs}), str(tmp_path / "task/training")]
    subprocess.run([sys.executable, "-c", code, *words], cwd=REPO, check=True)
    written = json.loads((tmp_path / "task/executor_output.json").read_text())
    assert written == {"artifacts": outputs["artifacts"]}

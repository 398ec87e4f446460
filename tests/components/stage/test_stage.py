from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel

from components.context import IMAGE_VERSION_VARIABLE
from components.stage.stage import PIPELINE, Interrupted, RunContext, Stage, flatten, open_stage, run_component
from components.tracking.journal import Journal, read_all
from gan_models.errors import RequestError, RunError

REPO = Path(__file__).parents[3]


def entries(context: RunContext, stage: str) -> list[dict[str, object]]:
    return list(read_all(context.tracking_folder / f"{stage}.jsonl"))


def events(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def events_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "events.jsonl"
    monkeypatch.setenv("GAN_PIPELINE_EVENTS", str(path))
    return path


def test_importing_it_loads_nothing_heavy() -> None:
    code = "import sys, components.stage.stage; print([m for m in sys.modules if '.' not in m])"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True, check=True).stdout
    for heavy in ("mlflow", "torch", "kfp", "matplotlib", "rich", "numpy", "pandas", "sqlalchemy"):
        assert f"'{heavy}'" not in loaded


def test_an_external_relay_keeps_mlflow_out_of_the_stage(tmp_path: Path) -> None:
    code = f"""
import sys
from components.stage.stage import RunContext, open_stage
context = RunContext(state_dir={str(tmp_path)!r}, tracking_uri="sqlite:////x/y.db", relay="external")
with open_stage("train_gan", context) as stage:
    stage.log_metrics({{"loss": 1.0}}, step=1)
assert "mlflow" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], cwd=REPO, check=True)


def test_without_a_store_nothing_is_journalled(tmp_path: Path, png: Path) -> None:
    context = RunContext(state_dir=str(tmp_path / "work"))
    with open_stage("train_gan", context) as stage:
        stage.log_metrics({"loss": 1.0}, step=1)
        stage.log_image(png, "samples", 1)
        stage.log_generator(png, "unused")
    assert not (tmp_path / "work" / "tracking").exists()


def test_parameters_are_flat_complete_and_short_enough_for_mlflow(context: RunContext) -> None:
    class Optimizer(BaseModel):
        lr: float = 2e-4
        betas: tuple[float, float] = (0.5, 0.999)

    with open_stage("train_gan", context) as stage:
        stage.log_params({"optimizers": {"generator": Optimizer()}, "names": ["x" * 7000], "none": None})
        stage.log_params({f"p{i}": i for i in range(150)})
    written = [entry["values"] for entry in entries(context, "train_gan") if entry["kind"] == "params"]
    assert all(len(values) <= 100 for values in written)
    params = {key: value for values in written for key, value in values.items()}
    assert params["optimizers.generator.lr"] == "0.0002"
    assert params["optimizers.generator.betas"] == "[0.5, 0.999]"
    assert params["none"] == "null"
    assert all(len(value) < 6000 for value in params.values())
    assert json.loads(params["names.part-1"] + params["names.part-2"]) == ["x" * 7000]
    assert params["p149"] == "149"


def test_flatten_numbers_the_items_of_lists_of_mappings() -> None:
    assert flatten({"regularizers": [{"name": "r1"}, {"name": "gp"}], "empty": {}}) == {
        "regularizers.0.name": "r1",
        "regularizers.1.name": "gp",
        "empty": {},
    }


def test_names_that_mlflow_would_refuse_are_made_acceptable(context: RunContext) -> None:
    with open_stage("train_gan", context) as stage:
        stage.log_metrics({"D(x) [real]": 1.0}, step=1)
    assert [e["values"] for e in entries(context, "train_gan") if e["kind"] == "metrics"] == [{"D_x_ _real_": 1.0}]


def test_an_image_of_other_code_is_refused_before_anything_runs(
    context: RunContext, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    run = context.model_copy(update={"code_version": "0.1.0+aaaaaaaaaaaa"}).model_dump_json()
    monkeypatch.setenv(IMAGE_VERSION_VARIABLE, "0.1.0+aaaaaaaaaaaa")
    assert run_component("train_gan", lambda _: "ran", run=run) == "ran"

    monkeypatch.setenv(IMAGE_VERSION_VARIABLE, "0.1.0+bbbbbbbbbbbb")
    with pytest.raises(SystemExit) as caught:
        run_component("train_gan", lambda _: pytest.fail("it ran"), run=run)
    assert caught.value.code == 2
    assert "holds version 0.1.0+bbbbbbbbbbbb of the code" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "status"),
    [
        (RequestError("data.size=7 is too small: use 8 or more"), 2, "FAILED"),
        (RunError("the loss became NaN at step 12"), 1, "FAILED"),
        (ZeroDivisionError("division by zero"), 1, "FAILED"),
        (Interrupted(), 3, "KILLED"),
        (MemoryError(), 1, "FAILED"),
    ],
)
def test_a_failed_component_leaves_a_sentence_a_code_and_a_traceback_in_the_log(
    context: RunContext,
    events_file: Path,
    capfd: pytest.CaptureFixture[str],
    error: Exception,
    code: int,
    status: str,
) -> None:
    def call(stage: Stage) -> None:
        raise error

    with pytest.raises(SystemExit) as caught:
        run_component("train_gan", call, run=context.model_dump_json())

    assert caught.value.code == code
    said = [event for event in events(events_file) if event["kind"] == "error"]
    assert [event["exit_code"] for event in said] == [code]
    printed = capfd.readouterr()
    assert printed.out == ""
    assert printed.err == f"train_gan: {said[0]['sentence']}\n"
    assert "Traceback" in Path(str(said[0]["log"])).read_text()
    assert events(events_file)[-1]["status"] == status
    assert entries(context, "train_gan")[-1]["status"] == status


def test_an_unforeseen_error_names_its_log(context: RunContext, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run_component("train_gan", lambda stage: 1 / 0, run=context.model_dump_json())  # type: ignore[arg-type, return-value]
    assert str(context.logs / "train_gan.log") in capfd.readouterr().err


def test_a_component_returns_what_its_stage_returns(context: RunContext) -> None:
    assert run_component("prepare_data", lambda stage: stage.name, run=context.model_dump_json()) == "prepare_data"


def test_a_state_folder_that_cannot_be_made_is_a_sentence(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], events_file: Path
) -> None:
    (tmp_path / "file").write_text("")
    context = RunContext(state_dir=str(tmp_path / "file"), tracking_uri="sqlite:////x/y.db", relay="external")
    with pytest.raises(SystemExit) as caught:
        run_component("train_gan", lambda stage: None, run=context.model_dump_json())
    assert caught.value.code == 1
    assert str(tmp_path / "file") in capfd.readouterr().err
    assert [event["kind"] for event in events(events_file)] == ["start", "error", "end"]


def test_passwords_reach_no_file(
    tmp_path: Path, events_file: Path, png: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    uri = "https://ann:s3cret@mlflow.example:5000"
    context = RunContext(state_dir=str(tmp_path / "work"), tracking_uri=uri, relay="external")

    def call(stage: Stage) -> None:
        stage.note(f"sending to {uri}")
        stage.log_params({"tracking": {"uri": uri}})
        stage.set_tags({"uri": uri})
        stage.log_dataset("d", "f", f"parquet:{uri}/x", {}, "training")
        raise OSError(f"no answer from {uri}/api")

    with pytest.raises(SystemExit):
        run_component("train_gan", call, run=context.model_dump_json())
    assert "mlflow.example" in capfd.readouterr().err
    for file in tmp_path.rglob("*"):
        if file.is_file():
            assert b"s3cret" not in file.read_bytes(), file


def test_the_pipeline_run_ends_the_stages_that_were_killed(context: RunContext) -> None:
    journal = Journal(context.tracking_folder, "train_gan")
    journal.append({"kind": "start"})
    journal.close()
    with open_stage("prepare_data", context), pytest.raises(RunError), open_stage(PIPELINE, context):
        raise RunError("train_gan was killed")
    assert [(e["kind"], e.get("status")) for e in entries(context, "train_gan")] == [("start", None), ("end", "FAILED")]
    assert [e["status"] for e in entries(context, "prepare_data") if e["kind"] == "end"] == ["FINISHED"]


def test_the_context_travels_through_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    sent = RunContext(name="n", state_dir=str(tmp_path), tracking_uri="sqlite:////a/b.db", relay="external")
    for name, value in sent.to_environment().items():
        monkeypatch.setenv(name, value)
    assert RunContext.from_environment('{"name": "other"}') == sent


def test_the_run_of_kfps_mlflow_plugin_becomes_the_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    monkeypatch.setenv("MLFLOW_RUN_ID", "abc")
    context = RunContext.from_environment('{"tracking_uri": "http://elsewhere"}')
    assert (context.tracking_uri, context.parent_run_id) == ("http://mlflow:5000", "abc")


def test_a_named_store_wins_over_a_lone_tracking_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    assert RunContext.from_environment("").tracking_uri == "http://mlflow:5000"
    assert RunContext.from_environment('{"tracking_uri": ""}').tracking_uri == ""

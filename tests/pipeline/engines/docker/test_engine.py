"""The Docker engine as far as it can be tried without one: wrong requests, and what a stage has to leave behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.context import RunContext
from pipeline.definitions.stages import STAGES
from pipeline.engines.docker.containers import StageContainers, missing_outputs
from pipeline.engines.docker.engine import StageImages
from pipeline.workdir import WorkDirectory

IMAGES = StageImages("small", "large", devices=True)


def stage(tmp_path: Path, *artifacts: str) -> list[str]:
    outputs: dict[str, Any] = {"outputFile": str(tmp_path / "executor_output.json")}
    if artifacts:
        outputs["artifacts"] = {name: {"artifacts": [{"uri": str(tmp_path / name)}]} for name in artifacts}
    return ["sh", "-c", "true", "--executor_input", json.dumps({"outputs": outputs}), "--function_to_execute", "train"]


def test_no_engine_is_a_sentence(ask: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody.sock")
    answer = ask("run", "--engine", "docker", "--workdir", tmp_path / "work")
    assert answer.code == 2
    assert answer.sentence.startswith(f"--engine docker: no Docker engine answers at unix://{tmp_path}/nobody.sock")
    assert not (tmp_path / "work").exists()


def test_outputs_have_to_be_there(tmp_path: Path) -> None:
    command = stage(tmp_path, "training")
    assert missing_outputs(command) == str(tmp_path / "executor_output.json")
    (tmp_path / "executor_output.json").touch()
    assert missing_outputs(command) == str(tmp_path / "training")
    (tmp_path / "training").mkdir()
    assert missing_outputs(command) == ""
    assert missing_outputs(stage(tmp_path)) == ""


def test_kfp_still_has_the_function_that_is_replaced() -> None:
    """Its arguments are those that `StageContainers.run` takes."""
    import inspect

    from kfp.local import docker_task_handler

    theirs = list(inspect.signature(docker_task_handler.run_docker_container).parameters)
    assert theirs == ["client", "image", "command", "volumes", "container_run_args"]
    assert list(inspect.signature(StageContainers.run).parameters)[1:-1] == theirs[:-1]
    assert "run_docker_container(" in inspect.getsource(docker_task_handler.DockerTaskHandler.run)


@pytest.mark.parametrize(
    ("source", "image", "network", "mounted"),
    [
        ("digits", "small", False, 0),
        ("torchvision:CIFAR10", "large", True, 0),
        ("folder:{folder}", "small", False, 1),
        ("folder:s3://bucket/cats", "small", True, 0),
    ],
)
def test_a_preparation_gets_what_its_source_needs(
    tmp_path: Path, source: str, image: str, network: bool, mounted: int
) -> None:
    arguments = {"data": json.dumps({"source": source.format(folder=tmp_path)})}
    options = IMAGES.options_of(STAGES["prepare_data"], arguments)
    assert (options.image, options.network, options.gpus) == (image, network, False)
    assert list(options.read_only) == [tmp_path] * mounted


def test_the_login_of_an_object_store_is_named_but_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "geheim")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "absent"))
    (tmp_path / "key.json").write_text("geheim")
    arguments = {"data": json.dumps({"source": "zip:s3://bucket/cats.zip"})}
    options = IMAGES.options_of(STAGES["prepare_data"], arguments)
    assert "AWS_SECRET_ACCESS_KEY" in options.inherited
    assert "geheim" not in options.model_dump_json()
    assert list(options.read_only) == [tmp_path / "key.json"]
    here = IMAGES.options_of(STAGES["prepare_data"], {"data": json.dumps({"source": "digits"})})
    assert here.inherited == []


def test_the_other_stages_get_gpus_and_no_network() -> None:
    options = IMAGES.options_of(STAGES["train_gan"], {"evaluation": json.dumps({"inception_weights": None})})
    assert (options.image, options.network, options.gpus, options.read_only) == ("large", False, True, {})


def test_every_stage_reaches_a_table_that_is_kept_at_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "geheim")
    data = json.dumps({"source": "digits", "grow": "s3://bucket/tables"})
    for stage in ("prepare_data", "train_gan", "evaluate_gan"):
        arguments = {"data": data, "evaluation": json.dumps({"inception_weights": None})}
        options = IMAGES.options_of(STAGES[stage], arguments)
        assert options.network
        assert "AWS_SECRET_ACCESS_KEY" in options.inherited


def test_no_login_goes_into_a_container(tmp_path: Path) -> None:
    from pipeline.engines.docker.engine import _environment

    context = RunContext(tracking_uri="https://user:secret@mlflow.example", state_dir=str(tmp_path))
    given = _environment(context, WorkDirectory(tmp_path), tmp_path)
    assert "secret" not in json.dumps(given)
    assert RunContext.model_validate_json(given["GAN_PIPELINE_RUN"]).tracking_uri

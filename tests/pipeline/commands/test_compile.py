"""The compiled pipeline: what a cluster is given."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.definitions.stages import run_titles
from pipeline.request.plan import compiled_parameters, default_name, make_plan
from pipeline.request.request import Request

STAGES = ["prepare-data", "train-gan", "select-checkpoint", "evaluate-gan", "export-samples"]


@pytest.fixture
def compiled(ask: Callable, tmp_path: Path) -> Path:
    file = tmp_path / "training.yaml"
    answer = ask(
        "compile", "-o", file, "--recipe", "dcgan", "--data", "digits", "--set", "training.steps=7", "--seed", 3
    )
    assert answer.code == 0, answer.err
    return file


@pytest.fixture
def document(compiled: Path) -> dict[str, Any]:
    documents = list(yaml.safe_load_all(compiled.read_text()))
    assert len(documents) == 1, "platform-specific settings have no place here"
    return documents[0]


def test_five_stages_in_order_each_cached_and_named_for_people(document: dict[str, Any]) -> None:
    tasks = document["root"]["dag"]["tasks"]
    assert set(tasks) == set(STAGES)
    for before, stage in itertools.pairwise(STAGES):
        assert before in tasks[stage]["dependentTasks"]
    assert all(task["cachingOptions"] == {"enableCache": True} for task in tasks.values())
    assert [tasks[stage]["taskInfo"]["name"] for stage in STAGES] == [
        "Prepare data",
        "Train GAN",
        "Select checkpoint",
        "Evaluate GAN",
        "Export samples",
    ]


def test_every_stage_goes_stale_with_the_code_and_the_data_with_its_source(document: dict[str, Any]) -> None:
    inputs = {stage: task["inputs"]["parameters"] for stage, task in document["root"]["dag"]["tasks"].items()}
    assert all("code_version" in given for given in inputs.values())
    assert "source_version" in inputs["prepare-data"]


def test_every_parameter_has_the_value_of_the_request(compiled: Path) -> None:
    parameters = compiled_parameters(compiled)
    plan = make_plan(Request(recipe="dcgan", data="digits", overrides=("training.steps=7",), seed=3))
    assert {name: value for name, value in parameters.items() if name != "run"} == plan.parameters()
    about = json.loads(parameters["run"])
    assert about.pop("titles") == run_titles()
    assert about == {"name": default_name(plan), "experiment": "gan-pipeline"}


def test_nothing_is_installed_at_run_time(document: dict[str, Any]) -> None:
    for executor in document["deploymentSpec"]["executors"].values():
        assert "pip install" not in " ".join(executor["container"]["command"])


def test_its_outputs_are_those_of_the_stages(document: dict[str, Any]) -> None:
    outputs = document["root"]["dag"]["outputs"]["artifacts"]
    shown = {"metrics", "page", "summary", "confusion"}  # by Kubeflow's own page
    assert set(outputs) == {"dataset", "training", "selected", "report", "samples", *shown}


def test_kfp_loads_it_back(compiled: Path) -> None:
    from kfp.components import load_component_from_file

    loaded = load_component_from_file(str(compiled))
    assert loaded.component_spec.name == "gan-training"


@pytest.mark.slow
def test_equal_settings_give_equal_bytes_without_secrets(tmp_path: Path) -> None:
    written = []
    for seed in ("1", "2"):
        file = tmp_path / f"{seed}.yaml"
        command = [sys.executable, "-c", "from pipeline.cli import main; main()", "compile", "-o", str(file)]
        secret = {
            "PYTHONHASHSEED": seed,
            "MLFLOW_TRACKING_URI": "http://ann:s3cret@mlflow.example",
            "HOME": str(tmp_path),
        }
        subprocess.run(command, check=True, env={**os.environ, **secret}, capture_output=True)
        written.append(file.read_bytes())
    assert written[0] == written[1]
    for private in (b"s3cret", b"mlflow.example", str(tmp_path).encode()):
        assert private not in written[0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-o", "training.txt"], "ends in .yaml"),
        (["-o", "nowhere/training.yaml"], "is not a folder that can be written"),
        (["-o", "t.yaml", "--recipe", "dcgam"], "did you mean 'dcgan'?"),
    ],
)
def test_wrong_requests_write_nothing(ask: Callable, tmp_path: Path, arguments: list[str], words: str) -> None:
    answer = ask("compile", *arguments)
    assert answer.code == 2
    assert words in answer.sentence
    assert not list(tmp_path.iterdir())

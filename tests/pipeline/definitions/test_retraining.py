"""The retraining pipeline as a cluster gets it, and what is refused before one starts."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    from kfp.compiler import Compiler

    from pipeline.definitions.retraining import make_retraining_pipeline

    file = tmp_path_factory.mktemp("compiled") / "retraining.yaml"
    Compiler().compile(make_retraining_pipeline(), str(file))
    return next(yaml.safe_load_all(file.read_text()))


def tasks(document: dict[str, Any]) -> dict[str, Any]:
    """All tasks, of the groups as well."""
    found = dict(document["root"]["dag"]["tasks"])
    for component in document["components"].values():
        found |= component.get("dag", {}).get("tasks", {})
    return found


def test_conditions_read_components_with_a_single_output(document: dict[str, Any]) -> None:
    """The local engine skips a condition on one of several outputs without a word."""
    conditions = [task for task in tasks(document).values() if "condition" in task.get("triggerPolicy", {})]
    assert len(conditions) == 1
    (source,) = {
        given["taskOutputParameter"]["producerTask"]
        for given in conditions[0]["inputs"]["parameters"].values()
        if "taskOutputParameter" in given
    }
    outputs = document["components"][f"comp-{source}"]["outputDefinitions"]
    assert source == "check-changes"
    assert list(outputs) == ["parameters"]
    assert list(outputs["parameters"]) == ["Output"]


def test_what_asks_the_registry_is_never_cached(document: dict[str, Any]) -> None:
    cached = {name for name, task in tasks(document).items() if task.get("cachingOptions", {}).get("enableCache")}
    stages = {"prepare-data", "train-gan", "select-checkpoint", "evaluate-gan", "compare-champion"}
    assert {name for name in cached if "exit-handler" not in name and "condition" not in name} == stages


def test_somebody_is_told_however_it_ends(document: dict[str, Any]) -> None:
    notify = document["root"]["dag"]["tasks"]["notify"]
    assert notify["triggerPolicy"]["strategy"] == "ALL_UPSTREAM_TASKS_COMPLETED"


def test_nothing_is_installed_at_run_time(document: dict[str, Any]) -> None:
    for executor in document["deploymentSpec"]["executors"].values():
        assert "pip install" not in " ".join(executor["container"]["command"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--webhook-env", "https://hooks.example/T0/secret"], "takes the name of an environment variable"),
        (["--webhook-env", "a-b"], "'a-b'"),
        (["--model", "a/b"], "without / and :"),
        (["--recipe", "dcgam"], "did you mean 'dcgan'?"),
        (["--set", "evaluation.floors.recal=0.2"], "did you mean 'recall'?"),
        (["--recipe", "dcgan", "--set", "evaluation.floors.agreement=0.9"], "agreement is not worked out"),
        (["--tracking-uri", "ftp://x"], "unknown tracking address scheme"),
    ],
)
def test_wrong_requests(ask: Callable, tmp_path: Path, arguments: list[str], words: str) -> None:
    answer = ask("retrain", "--data", "digits", "--set", "data.size=8", *arguments)
    assert answer.code == 2
    assert words in answer.sentence
    assert "secret" not in answer.sentence
    assert not list(tmp_path.iterdir())


def test_without_the_registry_nothing_is_trained(ask: Callable, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{free.getsockname()[1]}"
    answer = ask("retrain", "--data", "digits", "--set", "data.size=8", "--tracking-uri", uri)
    assert answer.code == 1
    assert "does not answer" in answer.sentence
    assert not list(tmp_path.iterdir())

"""The sweep's pipeline as any engine gets it."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from pipeline.definitions.stages import load_pipeline, stages_of, titles_of


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    from kfp.compiler import Compiler

    file = tmp_path_factory.mktemp("compiled") / "sweep.yaml"
    Compiler().compile(load_pipeline("sweep", 3), str(file))
    return next(yaml.safe_load_all(file.read_text()))


@pytest.fixture(scope="module")
def loop(document: dict[str, Any]) -> dict[str, Any]:
    """The task of the loop; there is one in the whole document."""
    everywhere = [document["root"], *document["components"].values()]
    found = [
        task
        for each in everywhere
        for task in each.get("dag", {}).get("tasks", {}).values()
        if "parameterIterator" in task
    ]
    assert len(found) == 1
    return found[0]


def test_data_are_prepared_once_and_each_trial_has_three_stages(document: dict[str, Any], loop: dict[str, Any]) -> None:
    inside = document["components"][loop["componentRef"]["name"]]["dag"]["tasks"]
    assert set(inside) == {"train-gan", "select-checkpoint", "evaluate-gan"}
    outside = {name for name in document["root"]["dag"]["tasks"] if not name.startswith("for-loop")}
    assert outside == {"prepare-data", "rank-trials", "export-samples"}


def test_so_many_trials_run_at_a_time(loop: dict[str, Any]) -> None:
    assert loop["iteratorPolicy"] == {"parallelismLimit": 3}
    assert loop["parameterIterator"]["items"] == {"inputParameter": "pipelinechannel--trials"}


def test_a_trial_has_its_settings_and_all_share_the_judge(document: dict[str, Any], loop: dict[str, Any]) -> None:
    tasks = document["components"][loop["componentRef"]["name"]]["dag"]["tasks"]

    def sources(task: str) -> dict[str, str]:
        given = tasks[task]["inputs"]["parameters"]
        return {name: str(each.get("parameterExpressionSelector", "shared")) for name, each in given.items()}

    own = 'parseJson(string_value)["{}"]'
    training = {name: own.format(name) for name in ("model", "seed", "run")}
    assert sources("train-gan") == {**training, "code_version": "shared"}
    for judge in ("select-checkpoint", "evaluate-gan"):
        assert sources(judge)["evaluation"] == "shared"
        assert sources(judge)["seed"] == own.format("seed")


def test_all_trials_are_ranked_and_the_best_is_exported(document: dict[str, Any]) -> None:
    tasks = document["root"]["dag"]["tasks"]
    ranked = tasks["rank-trials"]["inputs"]["artifacts"]
    assert {each["taskOutputArtifact"]["producerTask"] for each in ranked.values()} == {"for-loop-1"}
    exported = tasks["export-samples"]["inputs"]["artifacts"]
    for name in ("generator", "report"):
        assert exported[name]["taskOutputArtifact"]["producerTask"] == "rank-trials"


def test_its_outputs_are_where_a_training_has_them(document: dict[str, Any]) -> None:
    outputs = document["root"]["dag"]["outputs"]["artifacts"]
    assert set(outputs) >= {"dataset", "selected", "report", "samples", "leaderboard"}


def test_trainings_and_retrainings_have_nothing_of_it() -> None:
    assert "rank_trials" not in {**stages_of("training"), **stages_of("retraining")}
    assert list(titles_of("sweep")) == [
        *("prepare_data", "train_gan", "select_checkpoint", "evaluate_gan", "rank_trials", "export_samples")
    ]

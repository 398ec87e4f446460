"""`gan-pipeline sweep` up to where work begins: what is refused, compiled, and sent to a cluster."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from components.context import RunContext, Trial
from pipeline.commands.run import rows_of
from pipeline.request.plan import compiled_parameters
from pipeline.request.sweep import MAX_TRIALS
from pipeline.versions import code_version
from tests.pipeline.kfp_server import KfpServer

IMAGE = "registry.example/gan-pipeline:0.1.0"
TINY = ("--recipe", "dcgan", "--data", "digits", "--set", "training.steps=20")
GRID = ("--vary", "optimizers.generator.lr=1e-4,2e-4", "--vary", "seed=0..1")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--vary", "optimizers.generator.lr=1e-4,fast"], "the trial lr=fast: recipe 'dcgan': optimizers.generator.lr"),
        (["--vary", "data.size=8,16"], "data is the same for all trials"),
        ([], "give --vary"),
        ([*GRID, "--parallel", "3"], "--parallel 3: here 2 trials run at a time at most"),
        ([*GRID, "--engine", "docker"], "sweeps are done by --engine local or cluster"),
        ([*GRID, "--engine", "kluster"], "did you mean 'cluster'?"),
        ([*GRID, "--gpus", "1"], "--gpus is for --engine cluster"),
        ([*GRID, "--output", "sweep.txt"], "ends in .yaml"),
        ([*GRID, "--tracking-uri", "ftp://x"], "unknown tracking address scheme"),
    ],
)
def test_what_is_refused_leaves_nothing_behind(ask: Callable, tmp_path: Path, arguments: list[str], words: str) -> None:
    answer = ask("sweep", *TINY, *arguments)
    assert answer.code == 2
    assert words in answer.sentence
    assert list(tmp_path.iterdir()) == []


def test_refusals_are_reports_too(ask: Callable) -> None:
    answer = ask("sweep", *TINY, "--vary", "seed=0,x", "--json")
    report = json.loads(answer.out)
    assert (answer.code, report["status"], report["trials"]) == (2, "failed", [])
    assert "the trial seed=x" in report["error"]


def test_it_is_compiled_with_its_trials(ask: Callable, tmp_path: Path) -> None:
    answer = ask("sweep", *TINY, *GRID, "--output", "sweep.yaml")
    assert answer.code == 0, answer.err
    assert "4 trials of dcgan on digits" in answer.err
    parameters = compiled_parameters(tmp_path / "sweep.yaml")
    assert [each["name"] for each in parameters["entries"]] == [
        f"lr={rate} seed={seed}" for rate in ("1e-4", "2e-4") for seed in (0, 1)
    ]
    about = json.loads(parameters["run"])
    assert about["name"].startswith("sweep-dcgan-digits-0-")
    assert ask("run", "--pipeline", "sweep.yaml").sentence.endswith("written by `gan-pipeline compile`")


def test_a_cluster_gets_the_same_pipeline_and_trials_that_know_themselves(
    ask: Callable, server: KfpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ("--image", IMAGE, "--pvc", "state", "--name", "night", "--parallel", "8", "--engine", "cluster")
    answer = ask("sweep", *TINY, *GRID, *options)
    assert answer.code == 0, answer.err
    (run,) = server.runs.values()
    assert answer.out == f"{server.address}/#/runs/details/{run.run_id}\n"
    assert "dcgan on digits, seed 0, 4 trials" in answer.err
    sent = run.runtime_config.parameters
    shared = json.loads(sent["run"])
    assert (shared["name"], shared["state_dir"], shared["code_version"]) == (
        "night",
        "/state/runs/night",
        code_version(),
    )
    # As the stages' pods find it.
    monkeypatch.setenv("GAN_PIPELINE_RUN_ID", run.run_id)
    contexts = [RunContext.from_environment(trial["run"]) for trial in sent["trials"]]
    assert [context.name for context in contexts] == [each["name"] for each in sent["entries"]]
    assert {context.of_sweep().run_id for context in contexts} == {run.run_id}
    assert {context.state_dir for context in contexts} == {"/state/runs/night"}
    spec = run.pipeline_spec["pipeline_spec"]
    executors = spec["deploymentSpec"]["executors"]
    assert {executor["container"]["image"] for executor in executors.values()} == {IMAGE}
    assert spec["root"]["dag"]["tasks"]["for-loop-1"]["iteratorPolicy"] == {"parallelismLimit": 8}
    ask("sweep", *TINY, *GRID, "--output", "sweep.yaml")
    here = tmp_path / "sweep.yaml"
    assert set(compiled_parameters(here)) == set(sent)


def test_a_clone_has_trials_of_its_own(ask: Callable, server: KfpServer) -> None:
    ask("sweep", *TINY, *GRID, "--image", IMAGE, "--pvc", "state", "--name", "night", "--engine", "cluster")
    assert ask("runs", "clone", "night", "--name", "other").code == 0
    (clone,) = (run for run in server.runs.values() if run.display_name == "other")
    for trial in clone.runtime_config.parameters["trials"]:
        about = json.loads(trial["run"])
        assert (about["name"], about["state_dir"]) == ("other", "/state/runs/other")
        assert about["trial"]["name"].startswith("lr=")


def test_as_many_trials_as_there_may_be_are_no_more_than_a_cluster_takes(ask: Callable, server: KfpServer) -> None:
    options = ("--image", IMAGE, "--engine", "cluster", "--recipe", "biggan", "--data", "mnist-5k")
    assert ask("sweep", *options, "--vary", f"seed=1..{MAX_TRIALS}").code == 0
    (run,) = server.runs.values()
    assert len(run.runtime_config.parameters["trials"]) == MAX_TRIALS
    assert f"{MAX_TRIALS} trials at most" in ask("sweep", *options, "--vary", f"seed=0..{MAX_TRIALS}").sentence


def test_the_board_has_a_row_for_each_trial() -> None:
    trials = [Trial(key=f"k{seed}", name=f"seed={seed}") for seed in range(2)]
    rows = rows_of("sweep", trials)
    assert list(rows) == ["prepare_data", "k0", "k1", "rank_trials", "export_samples"]
    assert rows["k1"] == "seed=1"

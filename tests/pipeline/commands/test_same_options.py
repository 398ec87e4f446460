"""`run`, `submit` and `retrain` ask for the same in the same words; where one cannot, it is said here why."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from pipeline.cli import app
from pipeline.cli.options import RETRAINING, ClusterOptions

COMMANDS = ("run", "submit", "retrain")
CLUSTER = {f"--{name.replace('_', '-')}" for name in ClusterOptions.__annotations__}
ONLY: dict[str, dict[str, str]] = {
    "run": {
        "--workdir": "a cluster keeps its runs on its volume",
        "--tracking-uri": "the words differ: pods reach the server by another address",
        "--engine": "submit is the engine cluster; a retraining has no containers here",
        "--image": "the words differ: a cluster has one image, this machine those of `make images`",
    },
    "submit": {
        **dict.fromkeys(CLUSTER, "of a cluster"),
        "--wait": "a run of this machine is always waited for",
    },
    "retrain": {
        **dict.fromkeys(CLUSTER, "for --engine cluster, as for submit"),
        **{f"--{name.replace('_', '-')}": "of champions, which a training does not ask for" for name in RETRAINING},
        "--workdir": "as for run: it is for this machine",
        "--tracking-uri": "as for run",
        "--engine": "as for run, and a cluster besides, for which there is no second command",
        "--wait": "for --engine cluster, as for submit",
    },
}
"""Options by command that others lack or say otherwise, with the reason; all the rest is everywhere the same."""


def options(command: str) -> dict[str, Any]:
    """By their longest names, what is shown of each."""
    found = typer.main.get_command(app).commands[command]  # type: ignore[attr-defined]
    return {
        max(each.opts, key=len): (each.opts, each.metavar, each.help, each.default, each.multiple)
        for each in found.params
    }


@pytest.mark.parametrize("command", COMMANDS)
def test_each_has_what_the_others_have_but_for_reasons(command: str) -> None:
    common = {name: each for name, each in options(command).items() if name not in ONLY[command]}
    assert set(common) == {"--recipe", "--data", "--set", "--seed", "--name", "--pipeline", "--dry-run", "--json"}
    assert common == {name: options("run")[name] for name in common}


@pytest.mark.parametrize("command", COMMANDS)
def test_no_exception_is_of_an_option_that_is_gone(command: str) -> None:
    assert set(ONLY[command]) <= set(options(command))


def test_what_run_and_retrain_share_is_the_same() -> None:
    run, retrain = options("run"), options("retrain")
    shared = run.keys() & retrain.keys() - {"--engine", "--image"}
    assert {"--workdir", "--tracking-uri"} <= shared
    assert {name: run[name] for name in shared} == {name: retrain[name] for name in shared}
    submit = options("submit")
    for name in {"--wait", *CLUSTER} - {"--tracking-uri"}:
        assert submit[name] == retrain[name]


def test_a_retraining_here_refuses_what_is_of_a_cluster(ask: Callable) -> None:
    for words in (("--gpus", "1"), ("--toleration", "gpu"), ("--host", "http://kubeflow.example")):
        assert f"{words[0]} is for --engine cluster" in ask("retrain", "--data", "digits", *words).sentence


def test_a_retraining_takes_the_settings_of_a_compiled_file(ask: Callable, tmp_path: Path) -> None:
    """Its recipe is refused as one that was typed is; nothing of the file's pipeline is run."""
    made = ask("compile", "-o", "made.yaml", "--data", "digits", "--set", "data.size=8")
    assert made.code == 0, made.err
    refused = ask("retrain", "--pipeline", "made.yaml", "--model", "a/b")
    assert (refused.code, "--model 'a/b'" in refused.sentence) == (2, True)
    twice = ask("retrain", "--pipeline", "made.yaml", "--recipe", "dcgan")
    assert (twice.code, "--pipeline brings its own recipe" in twice.sentence) == (2, True)

"""Engines are named by the user: what each refuses before anything is begun."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pipeline.engines.protocol import ENGINES


def test_which_there_are_and_which_leave_their_results_here() -> None:
    assert {name: engine.here for name, engine in ENGINES.items()} == {"local": True, "docker": True, "cluster": False}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "--engine", "lokal"], "unknown --engine 'lokal': did you mean 'local'?"),
        (["run", "--engine", "podman"], "unknown --engine 'podman'"),
        (["run", "--engine", "cluster"], "use `gan-pipeline submit`"),
        (["run", "--image", "mine:1"], "--image names what the stages run in, so it needs --engine docker"),
        (["schedule", "list", "--engine", "clutser"], "unknown --engine 'clutser': did you mean 'cluster'?"),
        (["schedule", "list", "--engine", "docker"], "keeps no schedules: use --engine local or --engine cluster"),
    ],
)
def test_what_an_engine_cannot_do_is_a_sentence(ask: Callable[..., Any], arguments: list[str], words: str) -> None:
    answer = ask(*arguments)
    assert answer.code == 2
    assert words in answer.sentence

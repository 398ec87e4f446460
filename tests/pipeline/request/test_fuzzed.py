"""Whatever is typed or written into a recipe: it is taken, or refused in a sentence, and never a surprise."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.stage.failures import failure_of
from components.tracking.mlflow.client import check_address
from gan_models.data.sources import parse_source
from gan_models.errors import RequestError, RunError
from gan_models.recipes.loading import load_recipe, model_document, recipe_names
from pipeline.scheduling.schedule import make_schedule

# The same ones at every run of the tests; with GAN_PIPELINE_FUZZ=5000 as many others, at random.
COUNT = int(os.environ.get("GAN_PIPELINE_FUZZ", "0"))
FUZZ = settings(
    max_examples=COUNT or 50,
    derandomize=not COUNT,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
NUMBERS = st.one_of(
    st.integers(-(10**20), 10**20), st.floats(), st.sampled_from([0, -1, 1, 1e308, 5e-324, math.inf, math.nan, 10**400])
)
WORDS = st.one_of(st.text(max_size=40), st.sampled_from(["", "..", "~", "/dev/null", "\0", "a" * 5000, "\udcff", "🙂"]))
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, WORDS),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(WORDS, inner, max_size=4)),
    max_leaves=8,
)


def keys(node: Any, place: str = "") -> list[str]:
    """The dotted names of all that a recipe sets, and of its sections."""
    if not isinstance(node, dict):
        return [place]
    return [place, *(each for name, value in node.items() for each in keys(value, f"{place}.{name}".strip(".")))]


def leaves(node: Any) -> Iterator[Any]:
    if isinstance(node, dict | list):
        for inner in node.values() if isinstance(node, dict) else node:
            yield from leaves(inner)
    else:
        yield node


KEYS = sorted({key for name in recipe_names() for key in keys(model_document(load_recipe(name)))} - {""})


@contextmanager
def taken_or_told(*errors: type[Exception]) -> Iterator[None]:
    """What is raised must be one line that is no "unexpected ...", with exit code 1 or 2."""
    try:
        yield
    except (RequestError, *errors) as error:
        failure = failure_of(error)
        if "\n" in failure.sentence or failure.sentence.startswith("unexpected") or len(failure.sentence) > 3000:
            pytest.fail(failure.sentence[:500])


@FUZZ
@given(name=st.sampled_from(recipe_names()), key=st.one_of(st.sampled_from(KEYS), WORDS), value=VALUES)
def test_settings(name: str, key: str, value: Any) -> None:
    text = value if isinstance(value, str) else yaml.safe_dump(value, default_flow_style=True).strip()
    for setting in (f"{key}={text}", f"{key}{text}"):
        with taken_or_told():
            recipe = load_recipe(name, [setting])
            numbers = [each for each in leaves(model_document(recipe)) if isinstance(each, float)]
            assert all(map(math.isfinite, numbers))


@FUZZ
@given(
    name=st.sampled_from(recipe_names()),
    changes=st.lists(st.tuples(st.sampled_from(KEYS), VALUES), max_size=3),
    tail=st.binary(max_size=12),
)
def test_recipe_files(tmp_path: Path, name: str, changes: list[tuple[str, Any]], tail: bytes) -> None:
    document = model_document(load_recipe(name))
    for key, value in changes:
        node = document
        *parents, last = key.split(".")
        for parent in parents:
            node = node[parent] if isinstance(node.get(parent), dict) else node
        node[last] = value
    file = tmp_path / "recipe.yaml"
    file.write_bytes(yaml.safe_dump(document).encode(errors="surrogateescape") + tail)
    with taken_or_told():
        load_recipe(str(file))


@FUZZ
@given(kind=st.sampled_from(["folder", "parquet", "npz", "torchvision", "toy", "digits", ""]), rest=WORDS)
def test_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, rest: str) -> None:
    monkeypatch.chdir(tmp_path)
    with taken_or_told(RunError, OSError):
        source = parse_source(f"{kind}:{rest}" if kind else rest)
        if source.kind in ("folder", "parquet", "npz"):  # the others may ask the network
            source.open()


@FUZZ
@given(
    scheme=st.sampled_from(["http://", "https://", "sqlite:///", "postgresql://", "ftp://", "mysql+x://", ""]),
    rest=WORDS,
)
def test_tracking_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str, rest: str) -> None:
    monkeypatch.chdir(tmp_path)
    with taken_or_told(OSError):
        check_address(scheme + rest)


@FUZZ
@given(
    name=WORDS,
    cron=st.one_of(
        WORDS,
        st.lists(
            st.sampled_from(["0", "59", "60", "*", "*/2", "1-5", "5-1", "MON", "7", "?", "L", "#", "-1", "1,2,", "/"]),
            max_size=7,
        ),
    ),
    zone=st.one_of(WORDS, st.just("Europe/Berlin")),
)
def test_schedules(name: str, cron: str | list[str], zone: str) -> None:
    with taken_or_told():
        make_schedule(name=name, cron=cron if isinstance(cron, str) else " ".join(cron), timezone=zone)

"""`gan-pipeline explore`: which generator is meant, and what is refused before any page is served."""

from __future__ import annotations

import shutil
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.tracking.champions import Champions, Lineage, Verdict
from components.tracking.mlflow.champions import MlflowChampions
from components.tracking.mlflow.client import connect
from components.tracking.sqlite_address import sqlite_uri
from gan_models.errors import RequestError
from pipeline.cli import explore
from pipeline.workdir import RunRecord, WorkDirectory
from tests.pipeline.explorer.serving import save_tiny


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("generator") / "g", "cgan-projection")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, generator: Path) -> tuple[str, Champions]:
    """Three versions of `faces`: the second is the champion, the third the challenger; none of `empty`."""
    folder = tmp_path_factory.mktemp("store")
    client = connect(uri := sqlite_uri(folder / "mlflow.db"))
    registry = MlflowChampions(uri)
    for model in ("faces", "plain"):
        client.create_registered_model(model)
        for number in (1, 2, 3):
            place = folder / model / str(number)
            shutil.copytree(generator, place / "generator")
            client.create_model_version(model, place.as_uri(), await_creation_for=0)
    lineage = Lineage(recipe="dcgan", recipe_digest="r", data_fingerprint="d" * 16, seed=0)
    versions = {version.version: version for version in registry.versions("faces")}
    registry.judge(versions["2"], Verdict(decision="promoted", reason="by hand"), lineage)
    registry.judge(versions["3"], Verdict(decision="kept", reason="worse"), lineage)
    return uri, registry


@pytest.mark.parametrize(
    ("asked", "version"),
    [
        ("faces", "2"),
        ("faces@challenger", "3"),
        ("faces@champion", "2"),
        ("faces/1", "1"),
        ("models:/faces/3", "3"),
        ("plain", "3"),
    ],
)
def test_a_model_is_named_by_alias_or_version(store: tuple[str, Champions], asked: str, version: str) -> None:
    assert store[1].named(asked).version == version


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("facs", "unknown model 'facs': did you mean 'faces'?"),
        ("faces@chalenger", "unknown alias of faces 'chalenger': did you mean 'challenger'?"),
        ("faces/9", "unknown version of faces '9'"),
    ],
)
def test_a_model_that_is_not_there_is_a_sentence(
    ask: Callable, store: tuple[str, Champions], asked: str, words: str
) -> None:
    with pytest.raises(RequestError) as error:
        store[1].named(asked)
    assert words in str(error.value)
    answer = ask("explore", asked, "--tracking-uri", store[0])
    assert answer.code == 2
    assert answer.sentence.startswith(f"there is no folder {asked}, and no such registered model: ")
    assert words in answer.sentence


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What pages would be served: (generator, training set, origin)."""
    made: list[Any] = []

    def make_page(generator: Any, training: Any, origin: str, scratch: Path) -> None:
        made.append((generator, training, origin))

    monkeypatch.setattr("pipeline.explorer.page.make_page", make_page)
    monkeypatch.setattr("pipeline.explorer.page.serve", lambda *_: None)
    # What gradio is told by the environment is for the process of the command alone.
    monkeypatch.setattr(explore, "_keep_gradio_at_home", lambda scratch: None)
    return made


def test_a_registered_model_is_fetched(ask: Callable, store: tuple[str, Champions], served: list[Any]) -> None:
    assert ask("explore", "faces", "--tracking-uri", store[0]).code == 0
    ((generator, training, origin),) = served
    assert generator.info.recipe_name == "cgan-projection"
    assert (training, origin) == (None, "faces, version 2 (champion)")


def test_the_store_of_a_work_directory_is_looked_in(
    ask: Callable, store: tuple[str, Champions], served: list[Any], tmp_path: Path
) -> None:
    record = RunRecord(
        name="r", digest="d", recipe="dcgan", source="digits", seed=0, experiment="e", code_version="c",
        tracking_uri=store[0],
    )  # fmt: skip
    (tmp_path / "work").mkdir()
    WorkDirectory(tmp_path / "work").write_record(record)
    assert ask("explore", "faces@challenger", "--workdir", "work").code == 0
    assert served[0][2] == "faces, version 3 (challenger)"
    assert "no run.json" in ask("explore", "faces", "--workdir", str(tmp_path)).sentence


def test_a_folder_goes_before_a_model_of_its_name(
    ask: Callable, store: tuple[str, Champions], served: list[Any], generator: Path, tmp_path: Path
) -> None:
    shutil.copytree(generator, tmp_path / "faces")
    assert ask("explore", "faces", "--tracking-uri", store[0]).code == 0
    assert served[0][2] == "faces"
    (tmp_path / "work" / "results").mkdir(parents=True)
    shutil.copytree(generator, tmp_path / "work" / "results" / "samples")
    assert ask("explore", "work").code == 0


def test_what_is_no_generator_is_a_sentence(ask: Callable, tmp_path: Path) -> None:
    assert "is not a generator folder" in ask("explore", tmp_path).sentence
    assert "there is no folder" in ask("explore", "./nowhere").sentence
    assert ask("explore", "nowhere").code == 2


def test_a_port_in_use_is_a_sentence(ask: Callable, generator: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        answer = ask("explore", generator, "--port", str(taken.getsockname()[1]))
    assert answer.code == 2
    assert "is in use: choose another with --port" in answer.sentence


def test_without_gradio_it_says_what_to_install(
    ask: Callable, generator: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    answer = ask("explore", generator)
    assert answer.code == 2
    assert answer.sentence.endswith("pip install gan-pipeline[explore]")

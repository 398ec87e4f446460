"""A registered generator behind MLflow: its signature, what it answers, in Python and over HTTP, and older versions."""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
import torch
from mlflow.exceptions import MlflowException
from PIL import Image

from components.context import RunContext
from components.stage.stage import open_stage
from components.tracking.champions import Lineage
from components.tracking.mlflow.champions import MlflowChampions
from components.tracking.relay import Relay
from components.tracking.sqlite_address import sqlite_uri
from gan_models.data.shape import DataShape
from gan_models.families.building import build_generator
from gan_models.recipes import load_recipe
from gan_models.sampling.draws import Draws
from gan_models.sampling.generator import GeneratorInfo, load_generator, save_generator
from gan_models.sampling.served import RowServer
from pipeline.cli import call

NAME = "cgan-digits"
CLASSES = tuple("0123456789")


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained one of ten classes."""
    torch.manual_seed(0)
    recipe = load_recipe("cgan-projection", ["networks.generator.width=8", "data.size=16"])
    info = GeneratorInfo(
        recipe_name="cgan-projection", image_shape=(1, 16, 16), class_names=CLASSES, step=1, seed=0,
        data_fingerprint="f", diversity=1.0, collapsed=False,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("generator") / "generator"
    save_generator(folder, build_generator(recipe, DataShape((1, 16, 16), 10)).state_dict(), recipe, info)
    return folder


def register(context: RunContext, generator: Path, change: Callable[[Path], None] = lambda _: None) -> str:
    """Its address in the registry, once it has been packed, changed, and sent."""
    with open_stage("export_samples", context) as stage:
        stage.log_generator(generator, NAME, Lineage.of_folder(generator), {"FD-classifier-test-10": 1.5})
    (packed,) = context.tracking_folder.rglob("inputs.json")
    change(packed.parent)
    with Relay(context) as relay:
        pending = relay.drain(60)
    assert not pending, pending
    assert pending.rejected == ()
    mlflow.set_tracking_uri(context.tracking_uri)
    return f"models:/{NAME}/1"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, empty_database: Path, generator: Path) -> RunContext:
    """A store in which the generator is registered, and the champion."""
    folder = tmp_path_factory.mktemp("registered")
    shutil.copy(empty_database, folder / "mlflow.db")
    context = RunContext(
        state_dir=str(folder / "work"), tracking_uri=sqlite_uri(folder / "mlflow.db"), relay="external"
    )
    register(context, generator)
    MlflowChampions(context.tracking_uri).promote(NAME)
    return context


@pytest.fixture
def uri(store: RunContext) -> str:
    """Of the registered generator."""
    mlflow.set_tracking_uri(store.tracking_uri)
    return f"models:/{NAME}@champion"


def sampled(generator: Path, folder: Path, **options: Any) -> np.ndarray:
    """uint8 [H, W] of what `gan-pipeline sample` draws as the first image."""
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    out = folder / "sampled.png"
    assert call(["sample", str(generator), "--num", "1", "--out", str(out), *words]) == 0
    return np.asarray(Image.open(out))


def pixels(prediction: dict[str, Any]) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(prediction["image"]))))


def test_the_signature_names_seed_label_and_truncation(uri: str) -> None:
    signature = mlflow.models.get_model_info(uri).signature
    assert [(each.name, each.type.name, each.required) for each in signature.inputs] == [
        ("seed", "long", True),
        ("label", "string", False),
        ("truncation", "double", False),
    ]
    assert [(each.name, each.type.name) for each in signature.outputs] == [
        ("image", "string"), ("seed", "long"), ("label", "string"),
    ]  # fmt: skip


def test_the_input_example_is_answered_as_the_command_draws(uri: str, generator: Path, tmp_path: Path) -> None:
    model = mlflow.pyfunc.load_model(uri)
    first, second = model.predict(model.input_example)
    assert (first["seed"], first["label"], second["seed"], second["label"]) == (0, "0", 1, "1")
    assert np.array_equal(pixels(first), sampled(generator, tmp_path, seed=0, labels="0"))
    assert np.array_equal(pixels(second), sampled(generator, tmp_path, seed=1, labels="1", truncation=0.7))
    # As MLflow's own check of what a server would say.
    stored = mlflow.artifacts.download_artifacts(f"{uri}/serving_input_example.json")
    answered = mlflow.models.validate_serving_input(uri, Path(stored).read_text())
    assert answered == [first, second]


def test_rows_come_in_any_form_that_mlflow_takes(uri: str, generator: Path) -> None:
    import pandas

    model = mlflow.pyfunc.load_model(uri)
    rows = [{"seed": 3, "label": "7", "truncation": 0.5}, {"seed": 4, "label": "1", "truncation": None}]
    expected = RowServer(load_generator(generator)).answer(rows)
    assert model.predict(rows) == expected
    assert model.predict(pandas.DataFrame(rows)) == expected
    assert model.predict({"seed": np.array([3]), "label": np.array(["7"]), "truncation": [0.5]}) == expected[:1]


def test_a_bad_value_is_one_sentence_with_status_400(uri: str) -> None:
    model = mlflow.pyfunc.load_model(uri)
    with pytest.raises(MlflowException) as refused:
        model.predict([{"seed": 0}, {"seed": -1}])
    assert refused.value.get_http_status_code() == 400
    assert refused.value.message == "row 1: seed -1: expected a whole number from 0 to 2147483647"


def test_a_failure_of_its_own_shows_no_traceback(
    uri: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    model = mlflow.pyfunc.load_model(uri)

    def fail(*_: object) -> None:
        raise ArithmeticError("a secret of the server")

    monkeypatch.setattr(RowServer, "answer", fail)
    with pytest.raises(MlflowException) as failed:
        model.predict([{"seed": 0}])
    assert failed.value.get_http_status_code() == 500
    assert "secret" not in failed.value.serialize_as_json()
    assert "a secret of the server" in caplog.text


@pytest.mark.parametrize("name", ["inputs.json", "program.json"])
def test_what_was_packed_before_an_update_is_sent_and_takes_tensors(
    name: str, tracked: RunContext, generator: Path, tmp_path: Path
) -> None:
    loaded = load_generator(generator)
    inputs = loaded.module.draw_inputs(Draws(0, 2))
    before = {
        "inputs": [
            {"name": "latents", "dtype": "float32", "shape": [-1, loaded.module.latent]},
            {"name": "labels", "dtype": "int64", "shape": [-1]},
        ],
        "outputs": [{"name": "images", "dtype": "float32", "shape": [-1, 1, 16, 16]}],
        "example": {key: tensor.tolist() for key, tensor in inputs.items()},
    }

    def age(packed: Path) -> None:
        (packed / "inputs.json").unlink()
        (packed / name).write_text(json.dumps(before))

    uri = register(tracked, generator, age)
    images = mlflow.pyfunc.load_model(uri).predict({key: tensor.numpy() for key, tensor in inputs.items()})
    torch.testing.assert_close(torch.from_numpy(images), loaded.module(**inputs), rtol=1e-4, atol=1e-5)
    registry = MlflowChampions(tracked.tracking_uri)
    assert registry.download_generator(registry.versions(NAME)[0], tmp_path / "fetched")
    assert np.array_equal(sampled(tmp_path / "fetched", tmp_path, seed=3), sampled(generator, tmp_path, seed=3))


# -- the real server ------------------------------------------------------------------------------------------------


@pytest.fixture
def served(store: RunContext, uri: str, tmp_path: Path) -> Iterator[str]:
    """The address of `mlflow models serve` for the champion."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    programs = Path(sys.executable).parent
    environment = {**os.environ, "MLFLOW_TRACKING_URI": store.tracking_uri, "MLFLOW_DISABLE_TELEMETRY": "true"}
    environment |= {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": os.pathsep.join(sys.path)}
    words = ["models", "serve", "--model-uri", uri, "--env-manager", "local"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", *words, "--port", str(port)],
            env=environment, cwd=tmp_path, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        try:
            address = f"http://127.0.0.1:{port}"
            end = time.monotonic() + 240
            while not is_ready(address):
                assert process.poll() is None, (tmp_path / "log").read_text()
                assert time.monotonic() < end, (tmp_path / "log").read_text()
                time.sleep(0.2)
            yield address
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, 9)
            process.wait()


def is_ready(address: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(f"{address}/ping", timeout=5) as answer:
        return bool(answer.status == 200)
    return False


def ask(address: str, document: Any) -> tuple[int, Any]:
    """Status and answer."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    request = urllib.request.Request(f"{address}/invocations", body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


@pytest.mark.slow
def test_the_champion_is_served_over_http(served: str, generator: Path, tmp_path: Path) -> None:
    rows = [{"seed": 5, "label": "3", "truncation": 0.5}, {"seed": 6, "label": 4}, {"seed": 7}]
    wanted = [
        sampled(generator, tmp_path, seed=5, labels="3", truncation=0.5),
        sampled(generator, tmp_path, seed=6, labels="4"),
        sampled(generator, tmp_path, seed=7),
    ]
    status, answer = ask(served, {"dataframe_records": rows})
    assert status == 200
    assert [(each["seed"], each["label"]) for each in answer["predictions"]] == [(5, "3"), (6, "4"), (7, "0")]
    for prediction, image in zip(answer["predictions"], wanted, strict=True):
        assert np.array_equal(pixels(prediction), image)
    split = {"columns": ["seed", "label"], "data": [[6, "4"], [7, None]]}
    for document in ({"dataframe_split": split}, {"inputs": {"seed": [6, 7], "label": ["4", "0"]}}):
        assert ask(served, document) == (200, {"predictions": answer["predictions"][1:]})

    ours = [
        ({"seed": 0, "label": "sheep"}, "row 0: unknown class 'sheep': Known: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9"),
        (
            {"seed": 0, "truncation": -1},
            "row 0: truncation=-1: latents are cut off at a number of at least 0.02, such as 0.5",
        ),
    ]
    for row, sentence in ours:
        status, answer = ask(served, {"dataframe_records": [row]})
        assert (status, answer["message"]) == (400, sentence)
    mlflows = [
        ({"dataframe_records": [{"label": "3"}]}, "missing inputs ['seed']"),
        ({"dataframe_records": [{"seed": "first"}]}, "Failed to convert column seed"),
        ({"dataframe_records": []}, "missing inputs ['seed']"),
        ({"inputs": {"latents": [[0.5]]}}, "missing inputs ['seed']"),
        (b"seed=1", "Ensure that input is a valid JSON"),
    ]
    for document, sentence in mlflows:
        status, answer = ask(served, document)
        assert (status, sentence in answer["message"]) == (400, True), answer
        assert "Traceback" not in json.dumps(answer)
    assert ask(served, {"dataframe_records": [{"seed": 0}] * 65})[0] == 400

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: ask(served, {"dataframe_records": rows}), range(24)))
    for status, answer in answers:
        assert status == 200
        assert all(np.array_equal(pixels(p), image) for p, image in zip(answer["predictions"], wanted, strict=True))

"""The command line from outside: instant help, one sentence for every wrong request, nothing left behind."""

from __future__ import annotations

import http.server
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer

from pipeline.cli import app
from pipeline.workdir import open_workdir

COMMANDS = [
    [],
    ["run"],
    ["retrain"],
    ["schedule"],
    *(
        ["schedule", name]
        for name in ("ensure", "list", "show", "pause", "resume", "run-now", "backfill", "delete", "health")
    ),
    ["scheduler"],
    ["compare"],
    ["leaderboard"],
    ["models"],
    *(["models", name] for name in ("list", "show", "promote", "rollback")),
    ["compile"],
    ["sweep"],
    ["recipes"],
    *(["recipes", name] for name in ("list", "show")),
    ["data"],
    ["data", "inspect"],
    ["sample"],
    ["export"],
    ["project"],
    ["explore"],
    ["evaluate"],
    ["ui"],
    ["sync"],
    ["version"],
    ["submit"],
    ["runs"],
    *(["runs", name] for name in ("list", "show", "logs", "stop", "retry", "clone", "archive", "delete")),
    ["cluster"],
    ["cluster", "check"],
]
HEAVY = (
    "torch",
    "kfp",
    "kubernetes",
    "mlflow",
    "pyarrow",
    "numpy",
    "pandas",
    "sklearn",
    "matplotlib",
    "cronsim",
    "gradio",
)


def test_all_commands_are_covered_here() -> None:
    def below(command: object, *words: str) -> Iterator[list[str]]:
        yield list(words)
        for name, inner in getattr(command, "commands", {}).items():
            yield from below(inner, *words, name)

    assert sorted(below(typer.main.get_command(app))) == sorted(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_imports_nothing_heavy(command: list[str]) -> None:
    code = f"""
import sys
from pipeline.cli import call
assert call({[*command, "--help"]!r}) == 0
print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    assert "Usage: gan-pipeline" in done.stdout


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_fits_a_terminal_of_80_columns(ask: Callable, command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = ask(*command, "--help").out.splitlines()
    assert [line for line in lines if len(line) > 80] == []
    listed = lines[lines.index("Commands:") :] if "Commands:" in lines else []
    assert [line for line in listed if line.endswith("...")] == []  # a summary that is cut off


def test_lists_fit_a_terminal_of_80_columns(ask: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for arguments in (["recipes"], *(["recipes", "show", name] for name in ("cgan-projection", "stackgan"))):
        assert [line for line in ask(*arguments).out.splitlines() if len(line) > 80] == []


def test_without_a_command_there_is_help(ask: Callable) -> None:
    answer = ask()
    assert answer.code == 0
    assert "recipes" in answer.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["compil"], "Did you mean 'compile'"),
        (["run", "--recip", "dcgan"], "--recipe"),
        (["run", "--seed", "many"], "--seed"),
        (["recipes", "shwo"], "Did you mean 'show'?"),
        (["data"], "Missing command"),
        (["compile"], "Missing option '--output'"),
        (["ui", "--port", "99999"], "--port"),
    ],
)
def test_misspelt_command_lines(ask: Callable, arguments: list[str], words: str) -> None:
    answer = ask(*arguments)
    assert answer.code == 2
    assert words in answer.sentence


def test_an_error_that_nobody_thought_of_is_a_sentence_too(ask: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> int:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("gan_models.recipes.recipe_names", fail)
    answer = ask("recipes")
    assert answer.code == 1
    log = Path(answer.sentence.rpartition(" ")[2])
    assert "unexpected ZeroDivisionError: division by zero" in answer.sentence
    assert "Traceback" in log.read_text()
    log.unlink()


# -- run: requests that are refused before anything starts ---------------------------------------------------------


def parquet(path: Path, **columns: list[object]) -> None:
    pq.write_table(pa.table(columns), path)


REFUSED = {
    "unknown recipe": (["--recipe", "dcgam"], "unknown recipe 'dcgam': did you mean 'dcgan'?"),
    "recipe file that is not there": (["--recipe", "my/recipe.yaml"], "my/recipe.yaml does not exist"),
    "unknown key": (["--set", "training.step=5"], "unknown key 'training.step': did you mean 'steps'?"),
    "wrong value": (["--set", "training.steps=many"], "training.steps"),
    "no value": (["--set", "training.steps"], "expected section.key=value"),
    "unknown loss": (["--set", "game.loss=minmax"], "unknown game.loss 'minmax': did you mean 'minimax'?"),
    "size that the family cannot do": (["--recipe", "dcgan", "--set", "data.size=9"], "the nearest sizes it can make"),
    "size that nobody can do": (["--set", "data.size=7"], "data.size"),
    "splits that leave nothing": (["--set", "data.test=0.95"], "nothing is left to train on"),
    "unknown source": (["--data", "mnist-5000"], "did you mean 'mnist-5k'?"),
    "unknown torchvision class": (["--data", "torchvision:FashonMNIST"], "did you mean 'torchvision:FashionMNIST'?"),
    "folder that is not there": (["--data", "folder:nowhere"], "there is nothing at"),
    "folder with no images": (["--data", "folder:empty"], "holds no images"),
    "labels asked for and absent": (["--data", "folder:images", "--recipe", "cgan-projection"], "needs labels"),
    "parquet without the column": (["--data", "parquet:text.parquet"], "has no column 'image'"),
    "two sources": (["--data", "digits", "--set", "data.source=digits"], "give one of them"),
    "empty name": (["--name", " "], "--name is empty"),
    "tracking scheme": (["--tracking-uri", "htp://here"], "did you mean 'http'?"),
    "tracking folder": (["--tracking-uri", "mlruns"], "is a folder"),
    "pipeline that is none": (["--pipeline", "text.parquet"], "holds no compiled pipeline"),
    "pipeline that is not there": (["--pipeline", "nowhere.yaml"], "No such file"),
    "pipeline and recipe": (["--pipeline", "t.yaml", "--recipe", "dcgan"], "brings its own recipe"),
}


@pytest.mark.parametrize(("arguments", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_a_wrong_request_starts_nothing(
    ask: Callable, tmp_path: Path, images: Path, arguments: list[str], words: str
) -> None:
    (tmp_path / "empty").mkdir()
    parquet(tmp_path / "text.parquet", text=["a", "b"])
    before = sorted(tmp_path.rglob("*"))
    answer = ask("run", "--json", *arguments)
    assert answer.code == 2
    assert words in answer.sentence
    assert sorted(tmp_path.rglob("*")) == before
    report = json.loads(answer.out.splitlines()[-1])
    assert (report["status"], report["error"]) == ("failed", answer.sentence)


def test_two_runs_in_one_work_directory(ask: Callable, tmp_path: Path) -> None:
    with open_workdir(tmp_path / "run"):
        answer = ask("run", "--workdir", "run")
    assert answer.code == 2
    assert "another run is using the work directory" in answer.sentence


def test_a_full_disk(ask: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(total=2**40, free=0))
    answer = ask("run", "--workdir", "run")
    assert answer.code == 2
    assert "only 0 MB are free" in answer.sentence
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not Path("/proc/version").exists(), reason="needs a place where even the superuser cannot write")
def test_a_place_that_cannot_be_written(ask: Callable) -> None:
    answer = ask("run", "--workdir", "/proc/run")
    assert answer.code == 2
    assert "/proc/run cannot be used" in answer.sentence


class Refusal(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(401)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def refusing_server() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusal)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def test_a_tracking_server_that_refuses(ask: Callable, tmp_path: Path, refusing_server: str) -> None:
    answer = ask("run", "--tracking-uri", refusing_server)
    assert answer.code == 2
    assert "asks for a login (401)" in answer.sentence
    assert not list(tmp_path.iterdir())


# -- the other commands --------------------------------------------------------------------------------------------


def test_recipes_are_listed_and_shown_as_what_run_takes(ask: Callable, tmp_path: Path) -> None:
    assert "dcgan" in ask("recipes").out
    assert ask("recipes", "list").out == ask("recipes").out
    shown = ask("recipes", "show", "dcgan", "--yaml", "--set", "training.steps=5")
    (tmp_path / "mine.yaml").write_text(shown.out)
    assert ask("recipes", "show", "./mine.yaml", "--yaml").out == shown.out
    assert "steps: 5" in shown.out


def test_inspect_says_what_a_source_holds(ask: Callable, images: Path) -> None:
    text = ask("data", "inspect", f"folder:{images}").out
    assert "12" in text
    assert "none: unlabelled" in text
    found = json.loads(ask("data", "inspect", "digits", "--json").out)
    assert (found["images"], len(found["classes"])) == (1797, 10)
    assert "did you mean 'digits'?" in ask("data", "inspect", "digit").sentence


def test_inspect_reads_a_source_as_a_recipe_would_or_as_is_asked(ask: Callable, images: Path) -> None:
    for name in ("cat", "dog"):
        (images / name).mkdir()
    for index, file in enumerate(sorted(images.glob("*.png"))):
        file.rename(images / ("cat", "dog")[index % 2] / file.name)

    def found(*words: str) -> tuple[list[str], list[str], bool]:
        seen = json.loads(ask("data", "inspect", f"folder:{images}", "--json", *words).out)
        return seen["classes"], seen["domains"], seen["pairs"]

    assert found() == (["cat", "dog"], [], False)
    assert found("--recipe", "cyclegan") == ([], ["cat", "dog"], False)
    assert found("--set", "data.label=none", "--set", "data.pairs=side-by-side") == ([], [], True)
    refused = ask("data", "inspect", f"folder:{images}", "--set", "data.label=breed")
    assert (refused.code, "data.label='breed': no table of the images" in refused.sentence) == (2, True)
    assert "says what is read of sources that have columns" in (
        ask("data", "inspect", "digits", "--set", "data.label=breed").sentence
    )


def test_version(ask: Callable) -> None:
    assert re.match(r"gan-pipeline [\w.]+\+[0-9a-f]{12}", said := ask("version").out)
    assert ask("--version").out == said


def test_ui_on_a_port_in_use(ask: Callable, tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_bytes(b"SQLite format 3\0")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        answer = ask("ui", "--port", port, "--tracking-uri", "sqlite:///mlflow.db")
    assert answer.code == 2
    assert f"port {port} is in use" in answer.sentence


def test_ui_of_a_tracking_server_is_its_own(ask: Callable) -> None:
    answer = ask("ui", "--tracking-uri", "http://127.0.0.1:9")
    assert answer.code == 1
    assert "no tracking server answers" in answer.sentence


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["ui"], "there is no MLflow store at"),
        (["ui", "--workdir", "nowhere"], "is no work directory"),
        (["sync", "nowhere"], "is no work directory"),
    ],
)
def test_nothing_to_look_at(ask: Callable, arguments: list[str], words: str) -> None:
    answer = ask(*arguments)
    assert answer.code == 2
    assert words in answer.sentence


# -- sample ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def generators(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Untrained generators of two recipes for 8x8 grey images of two classes: `cgan` and `vanilla`."""
    import torch

    from gan_models.data.shape import DataShape
    from gan_models.families.building import build_generator
    from gan_models.recipes import load_recipe
    from gan_models.sampling.generator import GeneratorInfo, save_generator

    root = tmp_path_factory.mktemp("generators")
    for name, recipe_name in {"cgan": "cgan-projection", "vanilla": "vanilla"}.items():
        recipe = load_recipe(recipe_name, ["data.size=8"])
        torch.manual_seed(0)
        info = GeneratorInfo(
            recipe_name=recipe.name,
            image_shape=(1, 8, 8),
            class_names=("cat", "dog"),
            step=5,
            seed=0,
            data_fingerprint="0" * 64,
            diversity=1.0,
            collapsed=False,
        )
        save_generator(root / name, build_generator(recipe, DataShape((1, 8, 8), 2)).state_dict(), recipe, info)
    return root


def grid_of(path: Path) -> np.ndarray:
    from PIL import Image

    with Image.open(path) as image:
        return np.asarray(image)


def test_a_grid_is_drawn_and_the_seed_decides_it(ask: Callable, generators: Path, tmp_path: Path) -> None:
    grids = []
    for seed in (1, 1, 2):
        answer = ask("sample", generators / "cgan", "--num", 6, "--seed", seed, "--out", "grid.png")
        assert answer.code == 0, answer.err
        grids.append(grid_of(tmp_path / "grid.png"))
    assert np.array_equal(grids[0], grids[1])
    assert not np.array_equal(grids[0], grids[2])


def test_labels_by_name_and_by_number_are_the_same(ask: Callable, generators: Path, tmp_path: Path) -> None:
    for labels, out in {"dog": "name.png", "1": "number.png", "cat": "other.png"}.items():
        assert ask("sample", generators / "cgan", "--num", 4, "--labels", labels, "--out", out).code == 0
    assert np.array_equal(grid_of(tmp_path / "name.png"), grid_of(tmp_path / "number.png"))
    assert not np.array_equal(grid_of(tmp_path / "name.png"), grid_of(tmp_path / "other.png"))


def test_truncated_latents_draw_other_images(ask: Callable, generators: Path, tmp_path: Path) -> None:
    for out, options in {"plain.png": (), "wide.png": ("--truncation", 100), "cut.png": ("--truncation", 0.5)}.items():
        assert ask("sample", generators / "cgan", "--num", 4, "--out", out, *options).code == 0
    assert np.array_equal(grid_of(tmp_path / "plain.png"), grid_of(tmp_path / "wide.png"))
    assert not np.array_equal(grid_of(tmp_path / "plain.png"), grid_of(tmp_path / "cut.png"))


def test_a_work_directory_stands_for_its_generator(ask: Callable, generators: Path, tmp_path: Path) -> None:
    (tmp_path / "run/results").mkdir(parents=True)
    (tmp_path / "run/results/generator").symlink_to(generators / "vanilla")
    assert ask("sample", "run", "--num", 1).code == 0
    assert grid_of(tmp_path / "grid.png").shape[:2] == (8, 8)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], "there is no folder nowhere"),
        (["."], "is not a generator folder"),
        (["{cgan}", "--labels", "dgo"], "unknown class 'dgo': did you mean 'dog'?"),
        (["{vanilla}", "--labels", "dog"], "unconditional"),
        (["{cgan}", "--num", "0"], "--num 0"),
        (["{cgan}", "--truncation", "0"], "truncation=0"),
        (["{cgan}", "--out", "grid.jpg"], "ends in .png"),
        (["{cgan}", "--out", "nowhere/grid.png"], "is not a folder that can be written"),
    ],
)
def test_wrong_requests_draw_nothing(
    ask: Callable, generators: Path, tmp_path: Path, arguments: list[str], words: str
) -> None:
    folders = {name: generators / name for name in ("cgan", "vanilla")}
    answer = ask("sample", *(argument.format(**folders) for argument in arguments))
    assert answer.code == 2
    assert words in answer.sentence
    assert not list(tmp_path.iterdir())


def test_a_checkpoint_from_another_recipe(ask: Callable, generators: Path, tmp_path: Path) -> None:
    shutil.copytree(generators / "cgan", tmp_path / "mixed")
    shutil.copy(generators / "vanilla/generator.safetensors", tmp_path / "mixed")
    answer = ask("sample", "mixed")
    assert answer.code == 2
    assert "generator.safetensors is damaged" in answer.sentence
    assert not (tmp_path / "grid.png").exists()


def test_output_into_a_closed_pipe_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-c", "from pipeline.cli import main; main()", "recipes"],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)
    assert "Traceback" not in done.stderr

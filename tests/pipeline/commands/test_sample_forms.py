"""`gan-pipeline sample` as files of a folder, by seeds, as a walk; `gan-pipeline export`."""

from __future__ import annotations

import builtins
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence

from gan_models.data.shape import DataShape
from gan_models.families.building import build_generator
from gan_models.recipes import load_recipe
from gan_models.sampling.generator import GeneratorInfo, load_generator, save_generator


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Untrained generators whose pixels differ: `classes`, `plain`, `text` and `domains`."""
    root = tmp_path_factory.mktemp("generators")
    words, domains = ("a", "red", "green"), ("summer", "winter")
    for name, recipe_name in {
        "classes": "cgan-projection", "plain": "dcgan", "text": "stackgan", "domains": "cyclegan",
    }.items():  # fmt: skip
        torch.manual_seed(0)
        recipe = load_recipe(recipe_name, ["networks.generator.width=4"])
        size, channels = (16, 3) if name in ("text", "domains") else (8, 1)
        of_text, of_domains = words if name == "text" else (), domains if name == "domains" else ()
        shape = DataShape((channels, size, size), 3, len(of_domains), len(of_text), of_text)
        info = GeneratorInfo(
            recipe_name=recipe_name, image_shape=shape.image, class_names=("cat", "dog", "cow"), words=of_text,
            domain_names=of_domains, step=6, seed=0, data_fingerprint="f", diversity=1.0, collapsed=False,
        )  # fmt: skip
        module = build_generator(recipe, shape)
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
        save_generator(root / name, module.state_dict(), recipe, info)
    return {name: root / name for name in ("classes", "plain", "text", "domains")}


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image).astype(int)


def report(answer: Any) -> dict[str, Any]:
    assert answer.code == 0, answer.err
    return json.loads(answer.out.splitlines()[-1])


def test_each_image_is_a_file_of_its_number_and_a_second_call_goes_on(
    ask: Callable, folders: dict[str, Path], tmp_path: Path
) -> None:
    found = report(ask("sample", folders["classes"], "--each", "--num", 300, "--out", "faces", "--json"))
    files = sorted((tmp_path / "faces").glob("*.png"))
    assert [file.name for file in files] == [f"{number:08d}.png" for number in range(300)]
    assert found["files"] == {"drawn": 300, "there": 0, "first": "00000000.png", "last": "00000299.png"}
    assert (found["seed"], found["images"], found["step"]) == (0, 300, 6)
    assert found["classes"] == ["cat", "dog", "cow"]
    expected = load_generator(folders["classes"]).sample(300, seed=0).images[..., 0].int()
    for number in (0, 1, 255, 256, 299):
        assert np.abs(pixels(files[number]) - expected[number].numpy()).max() <= 1
    files[7].unlink()
    files[8].write_bytes(b"")  # as a power cut may leave it
    (tmp_path / "faces/.00000009.png.0123abcd").write_bytes(b"half")
    kept = files[10].stat().st_mtime_ns
    found = report(ask("sample", folders["classes"], "--each", "--num", 310, "--out", "faces", "--json"))
    assert (found["files"]["drawn"], found["files"]["there"]) == (12, 298)
    assert files[10].stat().st_mtime_ns == kept
    assert np.abs(pixels(files[8]) - expected[8].numpy()).max() <= 1
    assert len(list((tmp_path / "faces").iterdir())) == 311


@pytest.mark.parametrize(
    ("options", "words"),
    [(["--seed", 1], "seed: 0 there, 1 here"), (["--truncation", 0.5], "truncation: null there, 0.5 here"),
     (["--labels", "dog"], "classes"), (["--scale", 2], "scale: 1 there, 2 here"), (["--seeds", "1-3"], "seed")],
)  # fmt: skip
def test_a_folder_holds_the_images_of_one_request(
    ask: Callable, folders: dict[str, Path], options: list[object], words: str
) -> None:
    assert ask("sample", folders["classes"], "--each", "--num", 3, "--out", "faces").code == 0
    answer = ask("sample", folders["classes"], "--each", "--out", "faces", *options)
    assert answer.code == 2
    assert "holds images of another request" in answer.sentence
    assert words in answer.sentence


@pytest.mark.slow
def test_a_killed_command_leaves_whole_files_and_the_next_one_goes_on(
    folders: dict[str, Path], ask: Callable, tmp_path: Path
) -> None:
    out, code = tmp_path / "many", "from pipeline.cli import main; main()"
    arguments = ["sample", str(folders["plain"]), "--each", "--num", "5000", "--out", str(out)]
    process = subprocess.Popen([sys.executable, "-c", code, *arguments], env=os.environ, stderr=subprocess.DEVNULL)
    while process.poll() is None and not (out / "00000300.png").exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    files = sorted(out.glob("*.png"))
    assert 300 < len(files) < 5000
    assert all(pixels(file).shape == (8, 8) for file in files)
    found = report(ask("sample", folders["plain"], "--each", "--num", len(files) + 5, "--out", out, "--json"))
    assert (found["files"]["there"], found["files"]["drawn"]) == (len(files), 5)
    assert len(list(out.iterdir())) == len(files) + 6


def test_a_folder_that_is_being_written_is_left_alone(ask: Callable, folders: dict[str, Path], tmp_path: Path) -> None:
    import fcntl

    (tmp_path / "faces").mkdir()
    held = os.open(tmp_path / "faces", os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    answer = ask("sample", folders["plain"], "--each", "--out", "faces")
    os.close(held)
    assert answer.code == 2
    assert "another command is writing there" in answer.sentence


def test_a_seed_stands_for_its_image_0(ask: Callable, folders: dict[str, Path], tmp_path: Path) -> None:
    found = report(ask("sample", folders["classes"], "--seeds", "3,5,8-10", "--each", "--out", "faces", "--json"))
    assert (found["seeds"], found["images"], found["classes"]) == ("3,5,8-10", 5, ["cat"])
    generator = load_generator(folders["classes"])
    for seed in (3, 5, 8, 9, 10):
        expected = generator.sample(1, seed=seed).images[0, ..., 0].int().numpy()
        assert np.abs(pixels(tmp_path / f"faces/seed{seed:010d}.png") - expected).max() <= 1
    assert ask("sample", folders["classes"], "--seeds", "8,3", "--labels", "dog", "--columns", 1).code == 0
    expected = generator.sample(1, seed=3, labels=torch.tensor([1])).images[0, ..., 0].int().numpy()
    assert np.abs(pixels(tmp_path / "grid.png")[10:] - expected).max() <= 1


def test_columns_and_enlargement_of_the_grid(ask: Callable, folders: dict[str, Path], tmp_path: Path) -> None:
    for out, options in {"a.png": (), "b.png": ("--scale", 3)}.items():
        found = report(ask("sample", folders["plain"], "-n", 10, "--columns", 5, "-o", out, "--json", *options))
        assert found["file"] == out
    small, large = pixels(tmp_path / "a.png"), pixels(tmp_path / "b.png")
    assert small.shape == (2 * 10 - 2, 5 * 10 - 2)
    assert np.array_equal(large, small.repeat(3, 0).repeat(3, 1))


def test_a_walk_is_a_loop_without_a_seam(ask: Callable, folders: dict[str, Path], tmp_path: Path) -> None:
    options = ["--interpolate", "--num", 3, "--seconds", 0.4, "--labels", "dog", "--scale", 1]
    found = report(ask("sample", folders["classes"], *options, "--out", "walk.gif", "--json"))
    assert (found["frames"], found["seconds"]) == (30, 1.2)
    with Image.open(tmp_path / "walk.gif") as walk:
        assert walk.info["loop"] == 0
        frames = [np.asarray(frame.convert("L")).astype(int) for frame in ImageSequence.Iterator(walk)]
        assert walk.info["duration"] == 40
    assert len(frames) == 30
    stops = load_generator(folders["classes"]).sample(3, seed=0, labels=torch.tensor([1, 1, 1])).images[..., 0].int()
    for stop in range(3):
        assert np.abs(frames[10 * stop] - stops[stop].numpy()).max() <= 1
    moved = [np.abs(after - before).mean() for before, after in pairwise([*frames, frames[0]])]
    assert max(moved) < 4 * np.median(moved)
    assert moved[-1] > 0


def test_an_mp4_shows_the_same_walk(ask: Callable, folders: dict[str, Path], tmp_path: Path) -> None:
    options = ["--interpolate", "--seeds", "1-3", "--seconds", 0.5, "--fps", 30]
    assert ask("sample", folders["plain"], *options, "--out", "walk.mp4").code == 0
    with av.open(str(tmp_path / "walk.mp4")) as video:
        frames = [frame.to_ndarray(format="gray").astype(int) for frame in video.decode(video=0)]
        assert video.streams.video[0].average_rate == 30
    assert len(frames) == 45
    generator = load_generator(folders["plain"])
    for place, seed in ((0, 1), (15, 2), (30, 3)):
        expected = generator.sample(1, seed=seed).images[0, ..., 0].int().numpy().repeat(16, 0).repeat(16, 1)
        assert frames[place].shape == (128, 128)
        assert np.abs(frames[place] - expected).mean() < 6
    assert [path.name for path in tmp_path.iterdir()] == ["walk.mp4"]


def test_without_av_there_is_a_sentence(
    ask: Callable, folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "av":
            raise ImportError(name)
        return usual(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    answer = ask("sample", folders["plain"], "--interpolate", "--out", "walk.mp4")
    assert answer.code == 2
    assert "pip install gan-pipeline[video]" in answer.sentence
    assert not list(tmp_path.iterdir())


def test_every_image_given_is_translated_into_files(ask: Callable, folders: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    for number, colour in enumerate(("red", "green", "blue")):
        Image.new("RGB", (20, 16), colour).save(tmp_path / f"mine/{number}.png")
    found = report(ask("sample", folders["domains"], "--input", "mine", "--each", "--out", "made", "--json"))
    assert (found["images"], found["made"], found["files"]["drawn"]) == (3, ["summer", "winter"], 6)
    names = sorted(path.name for path in (tmp_path / "made").glob("*.png"))
    assert names[:3] == ["00000000-summer.png", "00000000-winter.png", "00000001-summer.png"]
    assert not np.array_equal(pixels(tmp_path / "made" / names[0]), pixels(tmp_path / "made" / names[1]))


def test_a_picture_that_cannot_be_read_leaves_nothing(ask: Callable, folders: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "mine.png").write_bytes(b"no image")
    answer = ask("sample", folders["domains"], "--input", "mine.png", "--each", "--out", "made")
    assert answer.code == 2
    assert "mine.png: this is not an image" in answer.sentence
    assert [path.name for path in tmp_path.iterdir()] == ["mine.png"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["{plain}", "--each", "--interpolate"], "--each and --interpolate"),
        (["{plain}", "--each", "--columns", "3"], "--columns: --each makes no grid"),
        (["{plain}", "--interpolate", "--columns", "3"], "--columns: --interpolate makes no grid"),
        (["{plain}", "--seed", "1", "--seeds", "1-3"], "--seed and --seeds"),
        (["{plain}", "--num", "3", "--seeds", "1-3"], "--num and --seeds"),
        (["{plain}", "--seeds", "3-1"], "'3-1' is neither"),
        (["{plain}", "--seeds", "1,x"], "'x' is neither"),
        (["{plain}", "--seeds", "1,2,1"], "a seed is there twice"),
        (["{plain}", "--seeds", "0-2000000000"], "more than 100000"),
        (["{classes}", "--seeds", "1-3", "--labels", "cat,dog"], "name one class"),
        (["{plain}", "--seconds", "2"], "--seconds: only a walk takes time"),
        (["{plain}", "--fps", "20"], "--fps: only a walk takes time"),
        (["{plain}", "--interpolate", "--fps", "30"], "take 10, 20, 25 or 50"),
        (["{plain}", "--interpolate", "--out", "walk.png"], "ends in .gif or .mp4"),
        (["{plain}", "--interpolate", "--num", "1"], "a walk needs two images"),
        (["{plain}", "--interpolate", "--seeds", "4"], "a walk needs two seeds"),
        (["{plain}", "--interpolate", "--num", "200"], "more than 3000 frames"),
        (["{plain}", "--out", "walk.gif"], "add --interpolate"),
        (["{plain}", "--scale", "0"], "--scale 0"),
        (["{plain}", "--columns", "0"], "--columns 0"),
        (["{plain}", "--num", "200000"], "--each draws more"),
        (["{plain}", "--each", "--num", "10000001"], "from 1 to 10000000"),
        (["{plain}", "--each", "--labels", "dog"], "unconditional"),
        (["{plain}", "--each", "--truncation", "0"], "truncation=0"),
        (["{plain}", "--interpolate", "--truncation", "0"], "truncation=0"),
        (["{plain}", "--interpolate", "--seconds", "nan"], "--seconds nan"),
        (["{domains}", "--truncation", "0.5"], "nothing to truncate; leave the option out"),
        (["{domains}", "--labels", "dog"], "not of a class; leave the option out"),
        (["{domains}", "--caption", "a"], "does not draw from texts"),
        (["{domains}", "--seeds", "1-3"], "name these with --input"),
        (["{domains}", "--seed", "1"], "draws nothing at random"),
        (["{domains}", "--columns", "2"], "before and after"),
        (["{domains}", "--interpolate"], "nothing to walk between"),
        (["{domains}", "--each"], "name some with --input"),
        (["{text}", "--seeds", "1-3", "--caption", "a red", "--caption", "a green"], "give one"),
    ],
)
def test_what_would_be_passed_over_is_refused(
    ask: Callable, folders: dict[str, Path], tmp_path: Path, arguments: list[str], words: str
) -> None:
    answer = ask("sample", *(argument.format(**folders) for argument in arguments))
    assert answer.code == 2
    assert words in answer.sentence
    assert not list(tmp_path.iterdir())


def test_something_else_in_the_folder_is_left_alone(ask: Callable, folders: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("x")
    answer = ask("sample", folders["plain"], "--each", "--out", "mine")
    assert answer.code == 2
    assert "the folder holds something else" in answer.sentence
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]


def test_a_caption_is_drawn_for_each_of_many_files(ask: Callable, folders: dict[str, Path]) -> None:
    captions = ["--caption", "a red", "--caption", "a green"]
    found = report(ask("sample", folders["text"], *captions, "--each", "-n", 5, "--out", "made", "--json"))
    assert (found["captions"], found["files"]["last"]) == (["a red", "a green"], "00000004.png")


def test_export_writes_a_folder_that_draws_the_same(ask: Callable, folders: dict[str, Path], tmp_path: Path) -> None:
    reference = {"data": "d", "source": "digits", "split": "test", "images": 500}
    protocol = {"extractor": {"name": "classifier"}, "reference": reference, "samples": 500, "parameters": {}}
    figures = {"metrics": {"FD-classifier": 2.5}, "headline": [], "protocol": protocol}
    made = tmp_path / "made"
    made.mkdir()
    for file in folders["classes"].iterdir():
        (made / file.name).write_bytes(file.read_bytes())
    (made / "metrics.json").write_text(json.dumps(figures))
    answer = ask(
        "export", "made", "--format", "safetensors", "--format", "pt2", "--license", "mit", "-o", "hub", "--json"
    )
    found = report(answer)
    assert (found["formats"], found["folder"]) == (["safetensors", "pt2"], "hub")
    assert set(found["files"]) == {path.name for path in (tmp_path / "hub").iterdir()}
    text = (tmp_path / "hub/README.md").read_text()
    assert "license: mit" in text
    assert "name: FD-classifier" in text
    assert ask("sample", "hub", "--seed", 4, "--out", "a.png").code == 0
    assert ask("sample", "made", "--seed", 4, "--out", "b.png").code == 0
    assert np.abs(pixels(tmp_path / "a.png") - pixels(tmp_path / "b.png")).max() <= 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["{plain}", "--out", "hub", "--format", "onxn"], "did you mean 'onnx'?"),
        (["{plain}", "--out", "nowhere/hub"], "is not a folder that can be written"),
        (["nowhere", "--out", "hub"], "there is no folder nowhere"),
        (["{plain}", "--out", "hub", "--license", ""], "expected a short name"),
        (["{plain}", "--out", "{classes}"], "there is something already"),
    ],
)
def test_a_wrong_export_writes_nothing(
    ask: Callable, folders: dict[str, Path], tmp_path: Path, arguments: list[str], words: str
) -> None:
    answer = ask("export", *(argument.format(**folders) for argument in arguments))
    assert answer.code == 2
    assert words in answer.sentence
    assert not list(tmp_path.iterdir())

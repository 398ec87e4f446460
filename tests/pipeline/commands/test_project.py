"""`gan-pipeline project`: files of a search, and what is refused before it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from gan_models.data.shape import DataShape
from gan_models.families.building import build_generator
from gan_models.recipes import load_recipe
from gan_models.sampling.generator import GeneratorInfo, save_generator
from pipeline.cli import call

SMALL = ["data.size=8", "networks.generator.channel_max=8", "networks.generator.style=16"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("styled")
    for name in ("stylegan2-ada", "dcgan"):
        torch.manual_seed(0)
        recipe = load_recipe(name, SMALL if name == "stylegan2-ada" else ["data.size=8"])
        shape = DataShape((1, 8, 8), 3)
        info = GeneratorInfo(
            recipe_name=name, image_shape=shape.image, class_names=("a", "b", "c"), step=6, seed=0,
            data_fingerprint="f", diversity=1.0, collapsed=False,
        )  # fmt: skip
        save_generator(root / name, build_generator(recipe, shape).state_dict(), recipe, info)
    Image.new("L", (20, 14), 200).save(root / "target.png")
    return root


def test_a_search_leaves_a_style_a_picture_and_a_video(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, video = tmp_path / "found", tmp_path / "search.gif"
    asked = ["project", str(folder / "stylegan2-ada"), str(folder / "target.png"), "--steps", "3", "--out", str(out)]
    assert call([*asked, "--video", str(video), "--json"]) == 0
    about = json.loads(capsys.readouterr().out)
    assert about["steps"] == 3
    assert 0 < about["left"] < 2
    assert sorted(path.name for path in out.iterdir()) == ["projection.png", "projection.safetensors", "w.npy"]
    with Image.open(video) as image:
        assert image.size == (128, 128)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--steps", "0"], "--steps 0: expected a whole number from 1"),
        (["--label", "z"], "unknown class 'z'"),
        (["--video", "search.png"], "ends in .gif or .mp4"),
        (["--lpips", "no.pth", "no.pth"], "there is no file"),
        (["--out", "nowhere/found"], "not a folder that can be written"),
    ],
)
def test_what_cannot_be_is_refused(
    folder: Path, arguments: list[str], sentence: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert call(["project", str(folder / "stylegan2-ada"), str(folder / "target.png"), *arguments]) == 2
    assert sentence in capsys.readouterr().err


def test_other_generators_and_files_are_refused(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call(["project", str(folder / "dcgan"), str(folder / "target.png")]) == 2
    assert "dcgan has no styles to search in" in capsys.readouterr().err
    assert call(["project", str(folder / "stylegan2-ada"), "none.png"]) == 2
    assert "there is no image none.png" in capsys.readouterr().err

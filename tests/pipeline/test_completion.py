"""What the Tab key offers, as bash asks for it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gan_models.recipes import preset_names
from pipeline.cli import call
from pipeline.definitions.stages import STAGES

Offered = Callable[[str], list[str]]


@pytest.fixture
def offered(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Offered:
    """The words that may stand in place of the last one of a command line."""
    monkeypatch.chdir(tmp_path)

    def ask(line: str) -> list[str]:
        monkeypatch.setenv("_GAN_PIPELINE_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(len(line.split(" ")) - 1))
        capfd.readouterr()
        with pytest.raises(SystemExit):
            call([])
        out, err = capfd.readouterr()
        assert err == ""
        return out.split()

    return ask


def test_recipes(offered: Offered, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/own.yaml").touch()
    assert offered("gan-pipeline run --recipe ") == preset_names()
    assert offered("gan-pipeline recipes show sngan-c") == ["sngan-cnn", "sngan-cnn/cifar10", "sngan-cnn/stl10-48"]
    assert offered("gan-pipeline retrain -r mine/o") == ["mine/own.yaml"]
    assert offered("gan-pipeline run --recipe nothing") == []


def test_sources(offered: Offered, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "table.parquet").touch()
    every = offered("gan-pipeline run --data ")
    assert {"digits", "mnist-5k", "toy:ring", "torchvision:", "folder:"} <= set(every)
    assert offered("gan-pipeline data inspect di") == ["digits"]
    assert offered("gan-pipeline submit --data torchvision:CIFAR") == ["torchvision:CIFAR10", "torchvision:CIFAR100"]
    assert offered("gan-pipeline run -d folder:ph") == ["folder:photos/"]
    assert offered("gan-pipeline run -d parquet:") == ["parquet:photos/", "parquet:table.parquet"]
    assert offered("gan-pipeline run -d folder:nowhere/") == []


def test_settings_are_those_of_the_recipe(offered: Offered) -> None:
    assert "training.batch_size=32" in offered("gan-pipeline run --set training.ba")
    assert "conditioning.generator=one-hot" in offered("gan-pipeline run --set conditioning.")
    assert "conditioning.generator=none" in offered("gan-pipeline run --recipe dcgan --set conditioning.")
    assert set(offered("gan-pipeline run --set data.fit=")) == {"data.fit=crop", "data.fit=pad"}
    assert offered("gan-pipeline run --recipe ../nowhere.yaml --set training.") == []


def test_stages_engines_commands_and_options(offered: Offered) -> None:
    names = [name.replace("_", "-") for name in STAGES]
    assert offered("gan-pipeline runs logs mine --stage ") == names
    assert offered("gan-pipeline run --engine ") == ["local", "docker"]
    assert offered("gan-pipeline retrain --engine c") == ["cluster"]
    assert offered("gan-pipeline recipes ") == ["list", "show"]
    assert "--tracking-uri" in offered("gan-pipeline run --tr")


@pytest.mark.parametrize("words", ["run --recipe d", "run --data d", "run --set training.", "runs logs x --stage t"])
def test_nothing_heavy_is_imported_while_the_user_waits(words: str) -> None:
    code = """
import sys
from pipeline.cli import call
try:
    call([])
finally:
    print([name for name in ("torch", "kfp", "mlflow", "pyarrow", "pandas") if name in sys.modules], file=sys.stderr)
"""
    line = f"gan-pipeline {words}"
    asked = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split()) - 1), "_GAN_PIPELINE_COMPLETE": "complete_bash"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, **asked}
    )
    assert done.stderr.strip() == "[]"
    assert done.stdout.strip()

"""A source that a package adds: one module and an entry point, then it is as good as one of ours."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.extending import examples, install

STEP = """
import sys
from pathlib import Path
from components.prepare_data.step import Request, run
from components.stage.stage import RunContext, open_stage
from gan_models.recipes.schema import Data

folder = Path(sys.argv[1])
with open_stage("prepare_data", RunContext(state_dir=str(folder / "state"))) as stage:
    result = run(Request(data=Data(source="stripes:300", size=16), output=folder / "dataset"), stage)
print(result.model_dump_json())
"""
ASKING = """
import json
from gan_models.data.sources import forms, parse_source
source = parse_source("stripes:300")
print(json.dumps([sorted(source.carried()), forms()[-1], source.known.needs_network, source.path is None,
                  source.short, source.digest().partition("-")[0]]))
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A folder where the page's example is installed."""
    return install({"gan-stripes": examples()["gan-stripes"]}, tmp_path / "packages")


def ask(package: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    path = os.pathsep.join(filter(None, [str(package), os.environ.get("PYTHONPATH")]))
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path})


def test_it_becomes_a_data_set(package: Path, tmp_path: Path) -> None:
    ended = ask(package, sys.executable, "-c", STEP, str(tmp_path))
    assert ended.returncode == 0, ended.stderr
    result = json.loads(ended.stdout.splitlines()[-1])
    assert (result["images"], result["classes"], result["channels"]) == (300, 2, 1)
    summary = json.loads((tmp_path / "dataset/summary.json").read_text())
    assert (summary["source"], summary["classes"]) == ("stripes:300", ["lying", "upright"])


def test_it_says_about_itself_what_ours_do(package: Path) -> None:
    known = json.loads(ask(package, sys.executable, "-c", ASKING).stdout)
    assert known == [["labels"], "stripes:<count>", False, True, "stripes-300", "numpy"]


def test_the_command_line_knows_it(package: Path) -> None:
    program = str(Path(sys.executable).with_name("gan-pipeline"))
    seen = ask(package, program, "data", "inspect", "stripes:300")
    assert seen.returncode == 0, seen.stderr
    assert "images   300\nclasses  2: lying, upright\n" in seen.stdout
    wrong = ask(package, program, "data", "inspect", "stripes:many")
    assert wrong.returncode == 2
    assert "data source 'stripes:many' names no count: write stripes:<count>" in wrong.stderr
    misspelt = ask(package, program, "data", "inspect", "strips:300")
    assert "did you mean 'stripes:300'" in misspelt.stderr

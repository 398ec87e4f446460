"""The code version changes with the code that decides results, and with nothing else."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline import versions


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in {
        "gan_models/losses.py": "A = 1\n",
        "gan_models/recipes/dcgan.yaml": "name: dcgan\n",
        "components/stage/stage.py": "B = 1\n",
        "pipeline/definitions/training.py": "C = 1\n",
        "pipeline/cli.py": "D = 1\n",
    }.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    monkeypatch.setattr(versions, "_PROJECT", tmp_path)
    return tmp_path


def digest() -> str:
    versions.code_version.cache_clear()
    return versions.code_version()


@pytest.mark.parametrize(
    "name",
    [
        "gan_models/losses.py",
        "gan_models/recipes/dcgan.yaml",
        "components/stage/stage.py",
        "pipeline/definitions/training.py",
    ],
)
def test_any_source_that_decides_results_changes_it(project: Path, name: str) -> None:
    before = digest()
    (project / name).write_text("something else\n")
    assert digest() != before


def test_a_renamed_file_changes_it(project: Path) -> None:
    before = digest()
    (project / "gan_models/losses.py").rename(project / "gan_models/games.py")
    assert digest() != before


def test_the_command_line_and_compiled_files_do_not_change_it(project: Path) -> None:
    before = digest()
    (project / "pipeline/cli.py").write_text("something else\n")
    (project / "gan_models/__pycache__").mkdir()
    (project / "gan_models/__pycache__/losses.cpython-311.pyc").write_bytes(b"x")
    assert digest() == before


def test_the_same_source_elsewhere_is_the_same_version(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = digest()
    shutil.copytree(project, project / "elsewhere", ignore=shutil.ignore_patterns("elsewhere"))
    monkeypatch.setattr(versions, "_PROJECT", project / "elsewhere")
    assert digest() == before
    versions.code_version.cache_clear()


def test_a_package_that_adds_something_changes_it_by_its_name_and_version(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [digest()]
    for package in ("my-losses==1.0", "my-losses==1.1", "our-losses==1.1"):
        monkeypatch.setattr(versions, "installed", lambda package=package: [package])
        found.append(digest())
    assert len(set(found)) == 4
    assert versions.version_line() == f"{found[-1]} (with our-losses==1.1)"
    versions.code_version.cache_clear()


def test_the_commit_is_said_where_it_is_known(project: Path) -> None:
    assert versions.commit() == ""  # used in place, and no checkout
    git = ["git", "-C", str(project), "-c", "user.name=me", "-c", "user.email=me@example.org"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "all"]):
        subprocess.run([*git, *command], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout
    assert versions.commit() == head[:12]
    versions.code_version.cache_clear()
    assert versions.version_line().startswith(f"{versions.code_version()} (commit {head[:12]})")
    assert versions.version_line().split(" ")[0] == versions.code_version()  # as infra/images/build.sh reads it
    versions.code_version.cache_clear()


def test_the_commit_of_an_installation_from_a_repository(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    origin = json.dumps({"url": "https://example.org/it", "vcs_info": {"vcs": "git", "commit_id": "0123456789abcdef"}})
    for written, commit in ((origin, "0123456789ab"), ('{"url": "file:///it", "dir_info": {}}', ""), (None, "")):
        found = SimpleNamespace(read_text=lambda name, written=written: written)
        monkeypatch.setattr(versions, "distribution", lambda name, found=found: found)
        assert versions.commit() == commit

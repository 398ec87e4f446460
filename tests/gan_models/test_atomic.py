from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from components.stage.environment import environment, git_state
from gan_models.atomic import new_file, new_folder, write_json


def fail_in_the_middle(place: AbstractContextManager[Path]) -> None:
    with place as temporary:
        (temporary / "a" if temporary.is_dir() else temporary).write_text("half")
        raise RuntimeError("in the middle")


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})
    with pytest.raises(RuntimeError, match="in the middle"):
        fail_in_the_middle(new_file(path))
    assert path.read_text() == '{\n "a": 1\n}\n'
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "out"
    with pytest.raises(RuntimeError, match="in the middle"):
        fail_in_the_middle(new_folder(path))
    assert list(tmp_path.iterdir()) == []
    for text in ("1", "2"):
        with new_folder(path) as folder:
            (folder / "a").write_text(text)
    assert (path / "a").read_text() == "2"
    assert list(tmp_path.iterdir()) == [path]


def test_the_environment_names_versions_and_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = environment()
    assert {"environment.python", "environment.platform", "environment.torch", "environment.mlflow"} <= set(found)
    assert all(isinstance(value, str) for value in found.values())
    monkeypatch.setenv("GAN_PIPELINE_REVISION", "abc123")
    assert git_state(tmp_path) == {"git.revision": "abc123"}

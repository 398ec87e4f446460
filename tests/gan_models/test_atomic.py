from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from components.stage.environment import environment, git_state
from gan_models.atomic import guarded, new_file, new_folder, write_json
from gan_models.errors import RunError


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


def test_who_may_not_write_any_more_leaves_everything_as_it_is(tmp_path: Path) -> None:
    """The check comes last: what it finds out while a file is being written counts."""
    may = [True]

    def check() -> None:
        if not may[-1]:
            raise RunError("another one has taken over")

    def lose(place: AbstractContextManager[Path]) -> None:
        with guarded(check), place as temporary:
            (temporary / "a" if temporary.is_dir() else temporary).write_text("2")
            may.append(False)

    with guarded(check):
        write_json(tmp_path / "a.json", 1)
        with new_folder(tmp_path / "out") as folder:
            (folder / "a").write_text("1")
    for place in (new_file(tmp_path / "a.json"), new_folder(tmp_path / "out")):
        may.append(True)
        with pytest.raises(RunError, match="another one has taken over"):
            lose(place)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "out"]
    assert (tmp_path / "a.json").read_text() == "1\n"
    assert (tmp_path / "out" / "a").read_text() == "1"
    write_json(tmp_path / "a.json", 3)


def test_what_fails_because_another_one_has_cleared_it_away_says_so(tmp_path: Path) -> None:
    def check() -> None:
        raise RunError("another one has taken over")

    with pytest.raises(RunError, match="another one has taken over"), guarded(check):
        (tmp_path / "gone" / "state.pt").write_text("1")

"""How much memory there is: the machine's, or less where control groups say so."""

from pathlib import Path

import psutil
import pytest
import torch

from gan_models import memory


@pytest.mark.parametrize(
    ("own", "limits", "expected"),
    [
        ("0::/a/b\n", {"a/b/memory.max": "max", "a/memory.max": "3000000", "memory.max": "5000000"}, 3_000_000),
        ("4:memory:/a\n0::/\n", {"memory/a/memory.limit_in_bytes": "2000000"}, 2_000_000),
        ("4:memory:/gone\n", {"memory/memory.limit_in_bytes": "1000000"}, 1_000_000),
        ("0::/\n", {"memory.max": "max"}, None),
        ("", {}, None),
    ],
    ids=["the group above", "version 1", "a container", "no limit", "no groups"],
)
def test_control_groups_count(
    own: str, limits: dict[str, str], expected: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in limits.items():
        (tmp_path / "groups" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "groups" / name).write_text(f"{text}\n")
    (tmp_path / "own").write_text(own)
    monkeypatch.setattr(memory, "_GROUPS", tmp_path / "groups")
    monkeypatch.setattr(memory, "_OWN_GROUP", tmp_path / "own")
    total = expected or psutil.virtual_memory().total
    assert memory.memory_limit() == total
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert memory.room_for_data(torch.device("cpu")) == int(total * memory.SHARE) // 4

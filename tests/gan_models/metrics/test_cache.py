"""The cache: made once, never stale, never half a file, never a reason to fail."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from gan_models.metrics.cache import cached_tensors

KEY = {"data": "f", "count": 3}


class Maker:
    """Counts how often it is asked."""

    def __init__(self, value: float = 1.0) -> None:
        self.calls = 0
        self._value = value

    def __call__(self) -> dict[str, torch.Tensor]:
        self.calls += 1
        return {"features": torch.full((3, 2), self._value)}


def test_is_made_once_however_many_ask(tmp_path: Path) -> None:
    make = Maker()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: cached_tensors(tmp_path, KEY, make), range(8)))
    assert make.calls == 1
    assert all(torch.equal(tensors["features"], torch.ones(3, 2)) for tensors in found)


def test_another_key_is_another_entry(tmp_path: Path) -> None:
    cached_tensors(tmp_path, KEY, Maker(1.0))
    other = cached_tensors(tmp_path, {**KEY, "count": 4}, Maker(2.0))
    assert float(other["features"][0, 0]) == 2.0
    assert float(cached_tensors(tmp_path, KEY, Maker(3.0))["features"][0, 0]) == 1.0


@pytest.mark.parametrize("keep", [0, 7, 60])
def test_a_damaged_file_is_made_again(tmp_path: Path, keep: int) -> None:
    cached_tensors(tmp_path, KEY, Maker())
    (file,) = tmp_path.glob("*.safetensors")
    file.write_bytes(file.read_bytes()[:keep])
    make = Maker()
    cached_tensors(tmp_path, KEY, make)
    assert make.calls == 1
    assert cached_tensors(tmp_path, KEY, Maker(9.0))["features"].sum() == 6.0


def test_a_file_of_another_key_under_this_name_is_not_used(tmp_path: Path) -> None:
    cached_tensors(tmp_path, KEY, Maker(1.0))
    (file,) = tmp_path.glob("*.safetensors")
    content = file.read_bytes()
    cached_tensors(tmp_path, {**KEY, "count": 4}, Maker(2.0))
    (other,) = set(tmp_path.glob("*.safetensors")) - {file}
    other.write_bytes(content)
    assert float(cached_tensors(tmp_path, {**KEY, "count": 4}, Maker(2.0))["features"][0, 0]) == 2.0


def test_works_without_a_folder_to_write_to(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    make = Maker()
    for _ in range(2):
        assert cached_tensors(tmp_path / "file" / "cache", KEY, make)["features"].shape == (3, 2)
    assert make.calls == 2


def test_leaves_no_temporary_files(tmp_path: Path) -> None:
    cached_tensors(tmp_path, KEY, Maker())
    assert {path.suffix for path in tmp_path.iterdir()} <= {".safetensors", ".lock"}

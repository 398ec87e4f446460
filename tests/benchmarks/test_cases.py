"""Data as people bring it: each of the twenty cases beside the repository is looked at, prepared and trained on."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

REPO = Path(__file__).parents[2]
SCRIPT = REPO.parent / "shared/cases/make_cases.py"
NAMES = (
    *("extra_folder", "train_a_train_b", "domains_as_classes", "stylegan_folder", "stylegan_zip", "labels_csv"),
    *("attributes_csv", "captions_txt", "twelve_bit", "adm_npz", "two_orders", "column_names", "partly_labelled"),
    *("repeats", "non_square", "rgba", "eadir", "index_parquet", "fifo", "link_maze"),
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not SCRIPT.is_file(), reason="no shared/cases beside the repository"),
]


@pytest.fixture(scope="module")
def cases() -> ModuleType:
    sys.path.insert(0, str(REPO / "benchmarks"))
    try:
        return importlib.import_module("cases")
    finally:
        sys.path.remove(str(REPO / "benchmarks"))


@pytest.fixture(scope="module")
def written(cases: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cases")
    assert set(cases.write_cases(SCRIPT, folder)) == {case.name for case in cases.CASES} == set(NAMES)
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_it_comes_out_as_expected(
    name: str, cases: ModuleType, written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GAN_PIPELINE_CACHE", str(tmp_path))
    case = next(case for case in cases.CASES if case.name == name)
    assert cases.examine(case, written)

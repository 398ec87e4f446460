"""The KFP component: called in process, compiled, and run by kfp's local engine."""

import json
from pathlib import Path

import pytest
import yaml
from kfp import compiler, dsl, local

from components.prepare_data.component import prepare_data
from gan_models.data.table_file import read_metadata

FOLDER = Path(__file__).parents[3] / "components" / "prepare_data"


@pytest.fixture(autouse=True)
def run_context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAN_PIPELINE_RUN", json.dumps({"state_dir": str(tmp_path / "state")}))


def arguments(**data: object) -> dict[str, str]:
    document = {"source": "digits", "size": 8, **data}
    return {"data": json.dumps(document), "source_version": "1", "code_version": "1", "run": ""}


def test_in_process(tmp_path: Path) -> None:
    dataset = dsl.Dataset(name="dataset", uri=str(tmp_path / "dataset"), metadata={})
    prepare_data.python_func(**arguments(), dataset=dataset)
    metadata = read_metadata(tmp_path / "dataset")
    assert dataset.metadata["fingerprint"] == metadata.fingerprint
    assert dataset.metadata["images"] == 1797
    assert dataset.metadata["classes"] == 10


def test_wrong_requests_exit_with_two(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dataset = dsl.Dataset(name="dataset", uri=str(tmp_path / "dataset"), metadata={})
    with pytest.raises(SystemExit) as ended:
        prepare_data.python_func(**arguments(source="digit"), dataset=dataset)
    assert ended.value.code == 2
    assert "prepare_data: unknown data source 'digit': did you mean 'digits'?" in capsys.readouterr().err
    assert not (tmp_path / "dataset").exists()


def test_compiles_and_installs_nothing_at_run_time(tmp_path: Path) -> None:
    compiler.Compiler().compile(prepare_data, str(tmp_path / "component.yaml"))
    text = (tmp_path / "component.yaml").read_text()
    assert "pip install" not in text
    assert "pip3 install" not in text


@pytest.mark.slow
def test_runs_locally(tmp_path: Path) -> None:
    local.init(runner=local.SubprocessRunner(use_venv=False), pipeline_root=str(tmp_path / "outputs"))
    dataset = prepare_data(**arguments()).outputs["dataset"]
    metadata = read_metadata(Path(dataset.path))
    assert dataset.metadata["fingerprint"] == metadata.fingerprint
    assert metadata.count("train") > 1000


def test_catalogue_entry() -> None:
    entry = yaml.safe_load((FOLDER / "metadata.yaml").read_text())
    assert entry["name"] == "prepare_data"
    assert entry["dependencies"]["kubeflow"][0]["name"] == "Pipelines"
    assert (FOLDER / "README.md").read_text().startswith("# prepare_data")

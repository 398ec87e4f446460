"""Several tasks of a pipeline import the images: what comes out is what one makes of them."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from kfp import dsl, local
from kfp.compiler import Compiler
from PIL import Image
from pydantic import ValidationError

from gan_models.data import table_writer
from gan_models.data.preparing.preparation import Preparation
from gan_models.data.preparing.table_building import places_of_part
from gan_models.data.table_file import TableFile
from gan_models.errors import RunError
from gan_models.recipes.schema import Data
from pipeline.definitions.chain import Chain
from pipeline.definitions.stages import load_pipeline


def quiet(done: int, bad: int) -> None: ...


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """45 images, in shards of 16: two equal ones in different shards, two in one, and one that is none."""
    root = tmp_path / "images"
    root.mkdir()
    stream = np.random.default_rng(0)
    for number in range(45):
        pixels = stream.integers(0, 256, (24, 24, 3), np.uint8)
        Image.fromarray(pixels).save(root / f"{number:02d}.png")
    for copy, of in (("40", "03"), ("21", "20")):
        shutil.copyfile(root / f"{of}.png", root / f"{copy}.png")
    (root / "33.png").write_bytes(b"no image")
    return root


def content(folder: Path) -> dict[str, bytes]:
    """Of all files; of a manifest and a summary without what says how many workers there were."""
    found = {}
    for path in sorted(folder.rglob("*.*")):
        whole = path.read_bytes()
        if path.suffix == ".json":
            document = json.loads(whole)
            document.get("metadata", document)["options"].pop("workers")
            whole = json.dumps(document).encode()
        found[str(path.relative_to(folder))] = whole
    return found


def data_of(source: str, **options: Any) -> Data:
    return Data.model_validate({"source": source, "size": 16, "test": 0.2, "max_bad_share": 0.1, **options})


@pytest.mark.parametrize("workers", [2, 3, 5])
@pytest.mark.parametrize("options", [{}, {"storage": "encoded"}, {"max_images": 40}], ids=["whole", "encoded", "some"])
def test_parts_make_what_one_import_makes(
    images: Path, tmp_path: Path, workers: int, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_writer, "SHARD_ROWS", 16)
    source = f"folder:{images}"
    Preparation.of(data_of(source, **options)).write(tmp_path / "one", quiet)
    asked = data_of(source, workers=workers, **options)
    parts = [tmp_path / f"part-{part}" for part in range(workers)]
    for part, place in enumerate(parts):
        Preparation.of(asked).write_part(place, part, quiet)
    Preparation.of(asked).merge(tmp_path / "several", parts[::-1])
    assert content(tmp_path / "several") == content(tmp_path / "one")
    assert len(TableFile(tmp_path / "one").entries) == 3
    if "max_images" not in options:
        assert (tmp_path / "one/duplicates.csv").read_text().count("yes") == 2
        assert "33.png" in (tmp_path / "one/quarantine.csv").read_text()


def test_parts_are_whole_shards_and_all_of_them() -> None:
    for total in (1, 15, 16, 17, 100, 1000):
        for parts in (1, 2, 3, 7):
            places = [places_of_part(total, 16, part, parts) for part in range(parts)]
            assert [place for each in places for place in each] == [*range(total)]
            assert all(each.start % 16 == 0 or not each for each in places)


def test_parts_of_different_imports_are_refused(images: Path, tmp_path: Path) -> None:
    asked = data_of(f"folder:{images}", workers=2)
    for part in range(2):
        Preparation.of(asked).write_part(tmp_path / str(part), part, quiet)
        (images / "44.png").unlink(missing_ok=True)
    preparation = Preparation.of(asked)
    with pytest.raises(RunError, match="changed while parts were read: run it again"):
        preparation.merge(tmp_path / "dataset", [tmp_path / "0", tmp_path / "1"])
    with pytest.raises(RunError, match="1 parts are there and not all 2 of the import"):
        preparation.merge(tmp_path / "dataset", [tmp_path / "0"])
    (tmp_path / "1/part.json").unlink()
    with pytest.raises(RunError, match="is no part of an import"):
        preparation.merge(tmp_path / "dataset", [tmp_path / "0", tmp_path / "1"])
    assert not (tmp_path / "dataset").exists()


@pytest.mark.parametrize("option", [{"repeats": "keep"}, {"grow": True}])
def test_what_needs_all_images_in_view_is_refused(option: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="with all images in view, which none of 2 workers has: set workers=1"):
        data_of("digits", workers=2, **option)


@pytest.mark.parametrize("definition", ["training", "retraining", "sweep"])
def test_the_compiled_pipelines_fan_the_import_out(definition: Any, tmp_path: Path) -> None:
    for workers in (1, 3):
        file = tmp_path / f"{workers}.yaml"
        Compiler().compile(load_pipeline(definition, workers=workers), str(file))
        stages = set(next(iter(yaml.safe_load_all(file.read_text())))["components"])
        assert ({"comp-prepare-data"} <= stages) == (workers == 1)
        assert ({"comp-import-shards", "comp-merge-shards"} <= stages) == (workers == 3)
    assert '"[0, 1, 2]"' in file.read_text() or "'[0, 1, 2]'" in file.read_text()


@pytest.mark.slow
def test_kfp_s_own_runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """1,797 digits at 256x256 make two shards."""
    monkeypatch.setenv("GAN_PIPELINE_RUN", json.dumps({"state_dir": str(tmp_path / "state")}))
    options = {"source": "digits", "size": 256}
    Preparation.of(Data.model_validate(options)).write(tmp_path / "one", quiet)

    @dsl.pipeline(name="import")
    def pipeline(data: str, source_version: str, code_version: str, run: str) -> dsl.Dataset:
        chain = Chain(locals())
        chain.prepare(2)
        return chain.outputs["dataset"]  # type: ignore[no-any-return]

    local.init(runner=local.SubprocessRunner(use_venv=False), pipeline_root=str(tmp_path / "outputs"))
    asked = {"data": json.dumps({**options, "workers": 2}), "source_version": "", "code_version": "", "run": ""}
    dataset = Path(pipeline(**asked).output.path)
    assert len(TableFile(dataset).entries) == 2
    assert content(dataset) == content(tmp_path / "one")

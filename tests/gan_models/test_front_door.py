"""`import gan_models as gm`: sources by name or path, trainings that go on by the same call, errors as sentences."""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import gan_models as gm
from gan_models.front_door.training import _Reporter
from gan_models.sampling.generator import load_generator
from gan_models.sampling.locating import EXPORTED
from pipeline.definitions.stages import result_names

SMALL = {
    "networks.generator.width": 4,
    "networks.discriminator.width": 4,
    "training.batch_size": 16,
    "training.tick": 2,
    "training.keep": 2,
    "training.threads": 1,
    "training.checkpoint_seconds": 0,
}


def train(place: Path, recipe: str = "dcgan", source: Any = "digits", **more: Any) -> gm.Trained:
    settings = {**SMALL, **more.pop("settings", {})}
    given = {"steps": 4, "size": 8, "progress": False, "device": "cpu", **more}
    return gm.train(source, recipe, place, **given, settings=settings)


def weights(run: gm.Trained) -> dict[str, torch.Tensor]:
    return run.generator.module.state_dict()


def same(first: gm.Trained, second: gm.Trained) -> bool:
    return all(
        torch.equal(one, two) for one, two in zip(weights(first).values(), weights(second).values(), strict=True)
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> gm.Trained:
    return train(tmp_path_factory.mktemp("trainings"), "cgan-projection")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Sixty colour photographs, so to speak, in two sub-folders."""
    noise = np.random.default_rng(0)
    for name in ("cats", "dogs"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(30):
            pixels = noise.integers(0, 255, (12, 10, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{number}.png")
    return tmp_path / "photos"


# -- importing


def test_the_import_costs_nothing_and_needs_neither_kfp_nor_mlflow(tmp_path: Path) -> None:
    code = f"""
import sys
import gan_models as gm
heavy = {{"torch", "numpy", "pydantic", "PIL"}}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
assert {{"train", "load", "prepare"}} <= set(dir(gm)) & set(gm.__all__)
absent = ("kfp", "mlflow", "docker", "kubernetes", "components", "pipeline")
sys.modules.update(dict.fromkeys(absent))  # as if they were not installed: to import one is an error
for name in gm.__all__:
    assert getattr(gm, name).__name__ == name
run = gm.train("digits", "vanilla", {str(tmp_path)!r}, steps=2, size=8, progress=False)
assert gm.load(run.folder).sample(3).images.shape == (3, 8, 8, 1)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        _ = gm.trian  # type: ignore[attr-defined]


# -- training


def test_oblong_pictures_stay_what_they_are_from_the_file_to_the_sample(tmp_path: Path) -> None:
    noise = np.random.default_rng(0)
    (tmp_path / "wide").mkdir()
    drawn = [noise.integers(0, 256, (16, 32, 3), dtype=np.uint8) for _ in range(40)]
    for number, pixels in enumerate(drawn):
        Image.fromarray(pixels).save(tmp_path / "wide" / f"{number:02d}.png")
    run = train(tmp_path / "trainings", source=tmp_path / "wide", size=(16, 32), steps=2)
    split = run.table.split("train")
    assert split.images.shape[1:] == (16, 32, 3)
    for path, image in zip(split.paths, split.images, strict=True):
        assert np.array_equal(image.numpy(), drawn[int(path[:2])])
    assert run.recipe.data.size == (16, 32)
    assert run.sample(3).images.shape == (3, 16, 32, 3)
    assert train(tmp_path / "more", source=run.table, size=(16, 32), steps=2).sample(1).images.shape == (1, 16, 32, 3)


def test_a_training_is_drawn_from_and_looked_at(trained: gm.Trained) -> None:
    samples = trained.sample(20, labels=["7", 3])
    assert samples.images.dtype == torch.uint8
    assert samples.images.shape == (20, 8, 8, 1)
    assert samples.labels is not None
    assert samples.labels.tolist() == [7, 3] * 10
    assert trained.history["step"] == [2, 4]
    assert len(trained.history["G/loss"]) == 2
    assert trained.outcome.steps == 4
    assert repr(trained).startswith("<cgan-projection after 4 steps")
    with Image.open(io.BytesIO(trained.sample(20)._repr_png_())) as shown:
        picture = trained.sample(20).image()
        assert shown.size == picture.size
        assert picture.width > 4 * picture.height  # two rows of the ten classes
    assert trained.sample(20, labels="7").image(columns=20).height < 70


def test_the_same_call_returns_at_once_what_has_ended(trained: gm.Trained) -> None:
    before = {path: path.stat().st_mtime_ns for path in trained.folder.rglob("*") if path.name != ".lock"}
    again = train(trained.folder.parent, "cgan-projection")
    assert again.folder == trained.folder
    assert same(again, trained)
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_interrupted_by_ctrl_c_and_gone_on_with_by_the_same_call(
    trained: gm.Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tick, asks = _Reporter.tick, signal.getsignal(signal.SIGINT)

    def press(self: _Reporter, step: int, *rest: Any) -> None:
        tick(self, step, *rest)
        os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(_Reporter, "tick", press)
        with pytest.raises(KeyboardInterrupt, match="interrupted at step 3; the same call goes on"):
            train(tmp_path, "cgan-projection")
    assert signal.getsignal(signal.SIGINT) is asks
    said: list[str] = []
    monkeypatch.setattr(_Reporter, "note", lambda self, sentence: said.append(sentence))
    run = train(tmp_path, "cgan-projection")
    assert "going on from the checkpoint of step 3" in said
    assert same(run, trained)


def test_more_steps_go_on_from_the_end(trained: gm.Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(tmp_path, "cgan-projection", steps=2)
    run = train(tmp_path, "cgan-projection", progress=True)
    assert "going on with the training of 2 steps that is here, from step 2" in capsys.readouterr().err
    assert same(run, trained)
    assert run.history["step"] == [2, 4]
    assert len(list((tmp_path / "data").glob("digits-*"))) == 1


def test_two_at_once_in_one_folder(trained: gm.Trained) -> None:
    from filelock import FileLock

    with FileLock(trained.folder / ".lock"), pytest.raises(gm.RequestError, match=r"another process trains in .*wait"):
        train(trained.folder.parent, "cgan-projection")


def test_a_generator_that_needs_images_of_somebodys_has_some(tmp_path: Path) -> None:
    run = train(tmp_path, "colorization/gan", source="toy:coloured-digits", size=16, settings={"data.max_images": 64})
    assert gm.load(run.folder, device="cpu").sample(2).images.shape == (2, 16, 16, 3)


# -- sources


@pytest.mark.parametrize("write", [str, Path, "folder:{}".format], ids=["text", "path", "with its kind"])
def test_a_folder_of_images_is_a_source(photos: Path, tmp_path: Path, write: Any) -> None:
    table = gm.prepare(write(photos), tmp_path / "table", size=8, progress=False)
    assert table.metadata.class_names == ("cats", "dogs")
    assert table.metadata.image_shape == (3, 8, 8)
    assert table.metadata.source == f"folder:{photos}"


def test_paths_may_be_relative_and_mean_the_same(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert gm.prepare("photos", "table", size=8, progress=False).metadata.source == f"folder:{photos}"
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    gm.prepare("../photos", "../table", size=8, progress=False)  # what is there is what was asked for


def test_arrays_and_parquet_are_sources(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pixels = np.random.default_rng(0).integers(0, 255, (60, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "some.npz", images=pixels)
    files = []
    for image in pixels:
        file = io.BytesIO()
        Image.fromarray(image).save(file, "png")
        files.append({"bytes": file.getvalue(), "path": None})
    pq.write_table(pa.table({"image": files}), tmp_path / "some.parquet")
    tables = [
        gm.prepare(tmp_path / name, tmp_path / name[-3:], size=8, progress=False).metadata
        for name in ("some.npz", "some.parquet")
    ]
    assert tables[0].fingerprint == tables[1].fingerprint


def test_a_prepared_data_set_is_trained_on_as_it_is(tmp_path: Path) -> None:
    table = gm.prepare("digits", tmp_path / "digits", size=8, max_images=300, test=0.2, progress=False)
    runs = [train(tmp_path / "runs", source=given, size=None) for given in (table, str(table.folder))]
    assert runs[0].folder == runs[1].folder
    assert runs[0].recipe.data.max_images == 300
    assert not (tmp_path / "runs" / "data").exists()
    with pytest.raises(gm.RequestError, match=r"data.size=16: .*digits was prepared with size=8"):
        train(tmp_path / "runs", source=table, size=16)


def test_preparing_again_returns_what_is_there_or_adds_to_it(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = gm.prepare(photos, tmp_path / "table", size=8, progress=False)
    before = (tmp_path / "table/table.json").stat().st_mtime_ns
    assert gm.prepare(photos, tmp_path / "table", size=8, progress=False) == first
    assert (tmp_path / "table/table.json").stat().st_mtime_ns == before
    with pytest.raises(gm.RequestError, match=r"holds another data set \(size 8 and not 16\): name another folder"):
        gm.prepare(photos, tmp_path / "table", size=16, progress=False)
    Image.new("RGB", (9, 9), "red").save(photos / "cats/99.png")
    grown = gm.prepare(photos, tmp_path / "table", size=8)
    assert grown.metadata.images == first.metadata.images + 1
    assert f"{first.metadata.images} rows are those of the table before" in capsys.readouterr().err


def test_images_that_were_added_make_another_training(photos: Path, tmp_path: Path) -> None:
    first = train(tmp_path / "runs", source=photos)
    Image.new("RGB", (9, 9), "red").save(photos / "cats/99.png")
    second = train(tmp_path / "runs", source=photos)
    assert first.table.metadata.images + 1 == second.table.metadata.images
    assert first.folder != second.folder


def test_nothing_that_is_somebodys_is_written_over(photos: Path, tmp_path: Path) -> None:
    before = sorted(photos.rglob("*"))
    with pytest.raises(gm.RequestError, match="holds other things and no data set"):
        gm.prepare(photos, photos, size=8)
    assert sorted(photos.rglob("*")) == before


def test_progress_tells_what_was_understood(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gm.prepare(photos, tmp_path / "told", size=8)
    told = capsys.readouterr()
    assert "60 images 8x8 RGB, 2 classes" in told.err
    gm.prepare(photos, tmp_path / "silent", size=8, progress=False)
    silent = capsys.readouterr()
    assert not told.out + silent.out + silent.err


# -- loading


def test_a_generator_is_loaded_from_whatever_holds_it(trained: gm.Trained, tmp_path: Path) -> None:
    kept = trained.folder / "generators" / "step-000004"
    (tmp_path / "run/results").mkdir(parents=True)
    (tmp_path / "run/results/generator").symlink_to(kept)
    expected = load_generator(kept).sample(4, seed=1).images
    for place in (kept, trained.folder, trained.folder.parent, tmp_path / "run"):
        assert torch.equal(gm.load(str(place), device="cpu").sample(4, seed=1).images, expected)


def test_a_generator_is_judged_by_images(trained: gm.Trained, tmp_path: Path) -> None:
    found = gm.evaluate(str(trained.folder), "digits", num=60, intervals=False, cache=tmp_path / "cache")
    assert found.protocol.samples == 60
    figure = found.figures["FD-classifier"]
    assert figure.real is not None
    assert figure.value > figure.real  # a training of a few steps is no match for real digits


def test_a_generator_is_asked_itself_where_that_is_wanted(trained: gm.Trained, tmp_path: Path) -> None:
    wanted = ["FD", "path-length", "CAS"]
    found = gm.evaluate(trained.folder, "digits", metrics=wanted, num=60, intervals=False, cache=tmp_path / "cache")
    assert found.figures["path-length-classifier"].value > 0
    accuracy = found.figures["CAS-classifier"]
    assert accuracy.real is not None
    assert 0 <= accuracy.value < accuracy.real  # real digits teach more than those of a few steps
    images = gm.load(trained.folder).sample(60).images.numpy()
    np.savez(tmp_path / "samples.npz", images=images[..., 0])
    with pytest.raises(gm.RequestError, match="No CAS: it needs a generator as SAMPLES"):
        gm.evaluate(tmp_path / "samples.npz", "digits", metrics=["CAS"], cache=tmp_path / "cache")


def test_it_knows_where_the_pipeline_leaves_generators() -> None:
    assert tuple(f"results/{result_names()[output]}" for output in ("samples", "selected")) == EXPORTED


# -- errors


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: gm.train("digits", "dcgam"), "unknown recipe 'dcgam': did you mean 'dcgan'?"),
        (lambda: gm.train("digit"), "unknown data source 'digit': did you mean 'digits'?"),
        (lambda: gm.train(Path("digits")), "there is nothing at digits: give a folder of images"),
        (lambda: gm.train(__file__), "is no source of images: give a folder"),
        (lambda: gm.train("toy:rign"), "did you mean 'toy:ring'?"),
        (lambda: gm.train("digits", settings={"training.step": 5}), "did you mean 'steps'?"),
        (lambda: gm.train("digits", settings={"training.steps": "many"}), "training.steps: "),
        (lambda: gm.train("digits", settings={"training.steps": {1}}), "training.steps: expected a number, text"),
        (lambda: gm.train("digits", steps=5, settings={"training.steps": 6}), "training.steps is given twice"),
        (lambda: gm.train("digits", steps=0), "training.steps: "),
        (lambda: gm.train("digits", size=9), "the nearest sizes it can make"),
        (lambda: gm.train("digits", seed=-1), "seed=-1"),
        (lambda: gm.train("digits", device="gpu"), "device 'gpu': .*use auto, cpu or cuda"),
        (lambda: gm.train("digits", settings={"training.ranks": 2}), "training.ranks=2: gm.train is one process"),
        (lambda: gm.train("digits", "pix2pix"), "needs partners, and digits has none"),
        (lambda: gm.train("digits", "cyclegan"), "translates between 2 domains, and digits has 10 "),
        (lambda: gm.prepare("digits", "new", siz=8), "unknown option of prepare 'siz': did you mean 'size'?"),
        (lambda: gm.prepare("digits", "new", size=1), "size: .*got 1"),
        (lambda: gm.load("nowhere"), "there is no folder nowhere"),
        (lambda: gm.load("."), "holds no generator: name a generator folder"),
    ],
)
def test_what_cannot_be_is_a_sentence_and_nothing_is_left(
    call: Any, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(gm.RequestError, match=words.replace("?", r"\?")):
        call()
    assert not list(tmp_path.iterdir())


def test_labels_that_cannot_be_are_sentences(trained: gm.Trained, tmp_path: Path) -> None:
    for given, words in {
        ("nine",): "unknown class 'nine'",
        (10,): "numbers from 0 to 9",
        (): "labels is empty",
    }.items():
        with pytest.raises(gm.RequestError, match=words):
            trained.sample(4, labels=given)
    with pytest.raises(gm.RequestError, match="num=0, seed=0"):
        trained.sample(0)
    shutil.copytree(trained.folder, tmp_path / "one")
    shutil.copytree(trained.folder, tmp_path / "two")
    with pytest.raises(gm.RequestError, match="holds 2 trainings: name one of"):
        gm.load(tmp_path)

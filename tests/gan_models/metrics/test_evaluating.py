"""Any images against any others: what can be named, what is refused, that figures are of the images that are there."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from sklearn.datasets import load_digits
from torch import Tensor

import gan_models as gm
from gan_models.data.shape import DataShape
from gan_models.data.table import ImageTable
from gan_models.errors import RequestError, RunError
from gan_models.families.building import build_generator
from gan_models.metrics.evaluating import Evaluation, evaluate
from gan_models.metrics.evaluation_page import page
from gan_models.metrics.extraction import FeatureExtractor
from gan_models.metrics.frechet import frechet_distance
from gan_models.metrics.image_sets import described, digest_of, open_images
from gan_models.metrics.judge import proportional_labels
from gan_models.metrics.neighbours import neighbourhoods
from gan_models.metrics.protocols import PROTOCOLS
from gan_models.recipes import load_recipe
from gan_models.sampling.generator import GeneratorInfo, load_generator, save_generator

CPU = torch.device("cpu")


class Averages(FeatureExtractor):
    """Sixteen averages of the image: features that a test can compute itself."""

    name = "averages"
    batch = 50
    quick = True
    seen = 0
    largest = 0

    def __init__(self, side: int = 4) -> None:
        super().__init__({"side": side}, "cpu")
        self.side = side

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        self.seen += len(images)
        self.largest = max(self.largest, len(images))
        pooled = torch.nn.functional.adaptive_avg_pool2d(images.permute(0, 3, 1, 2).float() / 255, self.side)
        return pooled.mean(dim=1).flatten(1), None


Write = Callable[..., Path]


@pytest.fixture(scope="module")
def digits() -> np.ndarray:
    """uint8 [1797, 8, 8], in a random order."""
    images = (load_digits().images * (255 / 16)).round().astype(np.uint8)
    return images[np.random.default_rng(0).permutation(len(images))]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """A folder of PNGs."""

    def write(name: str, images: np.ndarray) -> Path:
        folder = tmp_path / name
        folder.mkdir(parents=True, exist_ok=True)
        for number, image in enumerate(images):
            Image.fromarray(image).save(folder / f"{number:04d}.png")
        return folder

    return write


@pytest.fixture
def judge(tmp_path: Path) -> Callable[..., Evaluation]:
    def judge(samples: str | Path, against: str | Path, **options: Any) -> Evaluation:
        options = {"extractor": Averages(), "intervals": False, "cache": tmp_path / "cache", **options}
        return evaluate(samples, against, **options)

    return judge


def features(images: np.ndarray) -> Tensor:
    return Averages().features_and_logits(torch.from_numpy(images[..., None])).features


def test_figures_are_those_of_the_images_in_the_folders(digits: np.ndarray, write: Write, judge: Callable) -> None:
    ours, theirs = digits[:120], digits[200:500]
    found = judge(write("a", ours), write("b", theirs))
    assert found.figures["FD-averages"].value == pytest.approx(frechet_distance(features(ours), features(theirs)))
    expected = neighbourhoods(features(ours), features(theirs), k=5)
    for name, value in expected._asdict().items():
        assert found.figures[f"{name}-averages"].value == pytest.approx(value)
    assert found.figures["FD-averages"].n == found.protocol.samples == 120
    assert (found.protocol.reference.images, found.protocol.reference.split) == (300, "all")
    assert found.figures["FD-averages"].real is not None
    assert "one half of the data (150 images) against the other (150)" in " ".join(found.notes)
    assert json.loads(json.dumps(found.as_json()))["protocol"]["digest"] == found.protocol.digest


def test_one_set_in_any_clothes_has_one_figure(
    digits: np.ndarray, write: Write, judge: Callable, tmp_path: Path
) -> None:
    """A folder, two zips, an npz as ADM writes it, Parquet, grey images in three channels."""
    ours = digits[:60]
    folder, data = write("a", ours), write("b", digits[100:200])
    with zipfile.ZipFile(tmp_path / "packed.zip", "w") as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, f"00000/{file.name}")
        archive.writestr("00000/.DS_Store", b"waste")
        archive.writestr("dataset.json", json.dumps({"labels": [[f"00000/{n:04d}.png", n % 10] for n in range(60)]}))
    np.savez(tmp_path / "adm.npz", arr_0=np.repeat(ours[..., None], 3, axis=3))
    encoded = [{"bytes": file.read_bytes(), "path": file.name} for file in sorted(folder.iterdir())]
    pq.write_table(pa.table({"image": encoded}), tmp_path / "hub.parquet")
    places = [folder, tmp_path / "packed.zip", tmp_path / "adm.npz", tmp_path / "hub.parquet"]
    found = {place.name: judge(place, data).figures["FD-averages"].value for place in places}
    assert len({round(value, 9) for value in found.values()}) == 1, found
    assert open_images(tmp_path / "packed.zip", num=2, seed=0, device=CPU).class_names == tuple("0123456789")


def test_names_are_sources_and_paths_are_paths(
    judge: Callable, tmp_path: Path, write: Write, digits: np.ndarray
) -> None:
    write("data", digits[:50])
    by_name = judge("digits", f"folder:{tmp_path / 'data'}", num=40)
    assert by_name.protocol.samples == 40
    with pytest.raises(RequestError, match="did you mean 'digits'"):
        judge("digit", tmp_path / "data")
    with pytest.raises(RequestError, match=r"there is nothing at .*/nowhere: give a folder, zip"):
        judge(tmp_path / "nowhere", tmp_path / "data")
    with pytest.raises(RequestError, match="unknown protocol 'cleanfid': did you mean 'clean-fid'"):
        judge("digits", tmp_path / "data", protocol="cleanfid")
    with pytest.raises(RequestError, match="unknown metric 'FIDD': did you mean 'FID'"):
        judge("digits", tmp_path / "data", metrics=["FIDD"])


def test_a_prepared_data_set_has_its_splits(table: ImageTable, judge: Callable, tmp_path: Path) -> None:
    samples = table.split("validation").images[..., 0].numpy()
    np.savez(tmp_path / "samples.npz", images=samples)
    found = judge(tmp_path / "samples.npz", table.folder)
    reference = found.protocol.reference
    assert (reference.split, reference.images, reference.data) == ("test", 300, table.metadata.fingerprint)
    training, test = (table.split(name).images[..., 0].numpy() for name in ("train", "test"))
    figure = found.figures["FD-averages"]
    assert figure.value == pytest.approx(frechet_distance(features(samples), features(test)))
    assert figure.real is not None
    assert figure.real < frechet_distance(features(training[:20]), features(test))
    assert "nearest-ratio-averages" in found.figures  # there is a train split to look for copies in
    of_train = judge(tmp_path / "samples.npz", table.folder, protocol="stylegan", metrics=["FD"])
    assert (of_train.protocol.reference.split, of_train.protocol.reference.images) == ("train", 1197)
    assert "These are not the figures of stylegan" in " ".join(of_train.notes)
    assert of_train.protocol.digest != found.protocol.digest


def test_a_memorised_set_is_said_to_be_one(table: ImageTable, judge: Callable, tmp_path: Path) -> None:
    np.savez(tmp_path / "copies.npz", images=table.split("train").images[:200, ..., 0].numpy())
    found = judge(tmp_path / "copies.npz", table.folder)
    assert found.figures["nearest-ratio-averages"].value == pytest.approx(0.0, abs=1e-6)
    assert "200 of 200 images of" in " ".join(found.notes)
    np.savez(tmp_path / "test.npz", images=table.split("test").images[..., 0].numpy())
    same = judge(tmp_path / "test.npz", table.folder)
    assert same.figures["FD-averages"].value == pytest.approx(0.0, abs=1e-9)
    assert "hold the same images: the figures say nothing of a generator" in " ".join(same.notes)


def generator_at(folder: Path, classes: int) -> Path:
    """An untrained one of 8x8 images."""
    torch.manual_seed(0)
    recipe = load_recipe("cgan-projection", ["networks.generator.width=4"])
    info = GeneratorInfo(
        recipe_name="cgan-projection", image_shape=(1, 8, 8), class_names=tuple(map(str, range(classes))), step=1,
        seed=0, data_fingerprint="f", diversity=1.0, collapsed=False,
    )  # fmt: skip
    network = build_generator(recipe, DataShape((1, 8, 8), classes))
    save_generator(folder, network.state_dict(), recipe, info)
    return folder


def test_a_generator_draws_the_classes_of_the_data_in_their_proportions(
    digits: np.ndarray, judge: Callable, tmp_path: Path
) -> None:
    """And what is judged is what `sample` draws: image i of a seed, whatever the number."""
    folder = generator_at(tmp_path / "run" / "results" / "samples", 3)
    np.savez(tmp_path / "data.npz", images=digits[:80], labels=[0] * 60 + [1] * 10 + [2] * 10)
    found = judge(tmp_path / "run", tmp_path / "data.npz", num=90, seed=4)  # a work directory
    labels = proportional_labels(
        described(open_images(tmp_path / "data.npz", num=2, seed=0, device=CPU), 8, 8, 1), 90, 4
    )
    assert int((labels == 0).sum()) in (67, 68)
    drawn = load_generator(folder).sample(90, seed=4, labels=labels).images
    assert (found.samples.int() - drawn[: len(found.samples)].int()).abs().max() <= 1
    value = frechet_distance(Averages().features_and_logits(drawn).features, features(digits[:80]))
    assert found.figures["FD-averages"].value == pytest.approx(value, rel=1e-2)
    assert "intra-FD-averages" not in found.figures  # classes of ten images allow none
    other = judge(folder, tmp_path / "data.npz", num=90, seed=5)
    assert other.figures["FD-averages"].value != found.figures["FD-averages"].value
    assert judge(folder, tmp_path / "data.npz").protocol.samples == 80  # as many as there are of the reference


def test_a_generator_whose_weights_are_no_numbers_is_a_sentence(
    digits: np.ndarray, write: Write, judge: Callable, tmp_path: Path
) -> None:
    folder = generator_at(tmp_path / "broken", 3)
    weights = load_file(folder / "generator.safetensors")
    save_file(
        {name: tensor.float() * float("nan") for name, tensor in weights.items()}, folder / "generator.safetensors"
    )
    with pytest.raises(RequestError, match=r"cannot draw images: its weights .* hold NaN"):
        judge(folder, write("data", digits[:30]))


def test_changed_images_of_the_same_name_get_other_figures(
    digits: np.ndarray, write: Write, judge: Callable, tmp_path: Path
) -> None:
    """Also where names, sizes and times of all files stay: what the cache goes by is the content."""
    ours, data = write("a", digits[:60]), tmp_path / "b.npz"
    np.savez(data, images=digits[100:200])
    stamp = data.stat()
    before = judge(ours, data)
    extractor = Averages()
    assert judge(ours, data, extractor=extractor).figures == before.figures
    assert extractor.seen == 0  # from the cache
    np.savez(data, images=255 - digits[100:200])
    assert data.stat().st_size == stamp.st_size
    os.utime(data, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    after = judge(ours, data)
    assert after.figures["FD-averages"].value != before.figures["FD-averages"].value
    assert after.figures["FD-averages"].value == pytest.approx(
        frechet_distance(features(digits[:60]), features(255 - digits[100:200]))
    )
    assert after.protocol.digest != before.protocol.digest


def test_another_extractor_is_not_given_the_features_of_the_first(
    digits: np.ndarray, write: Write, judge: Callable
) -> None:
    ours, data = write("a", digits[:60]), write("b", digits[100:200])
    values = {judge(ours, data, extractor=Averages(side)).figures["FD-averages"].value for side in (2, 4)}
    assert len(values) == 2


def test_images_that_change_while_they_are_read_end_the_evaluation(
    digits: np.ndarray, write: Write, judge: Callable
) -> None:
    ours, data = write("a", digits[:200]), write("b", digits[200:300])

    class Meddler(Averages):
        def forward(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
            shutil.copy(ours / "0001.png", ours / "0199.png")
            return super().forward(images)

    with pytest.raises(RunError, match="changed while it was read"):
        judge(ours, data, extractor=Meddler())


def test_memory_holds_batches_and_not_all_images(digits: np.ndarray, write: Write, judge: Callable) -> None:
    extractor = Averages()
    judge(write("a", digits[:300]), write("b", digits[300:700]), extractor=extractor)
    assert extractor.seen == 700
    assert extractor.largest <= 50


def test_what_cannot_be_compared_is_a_sentence(
    digits: np.ndarray, write: Write, judge: Callable, tmp_path: Path
) -> None:
    data = write("data", digits[:100])
    noise = np.random.default_rng(0).integers(0, 256, (30, 8, 8, 3), dtype=np.uint8)
    (tmp_path / "empty").mkdir()
    mixed = write("mixed", digits[:30])
    Image.fromarray(np.zeros((9, 7), np.uint8)).save(mixed / "odd.png")
    np.savez(tmp_path / "nan.npz", images=np.full((30, 8, 8), np.nan, np.float32))
    broken = write("broken", digits[:5])
    (broken / "0000.png").write_bytes(b"\x89PNG\r\n\x1a\nno image")
    refused = {
        "empty": "holds no images",
        "nan.npz": r"30 of 30 images of .*nan\.npz cannot be used .*32-bit values from nan to nan",
        str(write("one", digits[:1])): "holds 1 image: figures need at least 2",
        str(write("colour", noise)): "is grey throughout and .*colour has colours",
        str(write("large", np.repeat(np.repeat(digits[:30], 2, 1), 2, 2))): "are 16x16 and those of .* 8x8",
        str(mixed): r"are of 2 sizes \(0000.png 8x8, odd.png 7x9\): make them equal",
        str(broken): r"1 of 5 images of .*broken cannot be used \(20.0%, .* the first: 0000.png \(damaged",
    }
    for place, words in refused.items():
        with pytest.raises(RequestError, match=words):
            judge(tmp_path / place, data)
    with pytest.raises(RequestError, match="holds 1 image to compare with"):
        judge(data, tmp_path / "one")


def test_few_broken_files_are_left_out_and_counted(digits: np.ndarray, write: Write, judge: Callable) -> None:
    ours, data = write("a", digits[:200]), write("b", digits[200:300])
    (ours / "0007.png").write_bytes(b"")
    found = judge(ours, data)
    assert found.protocol.samples == 199
    assert "1 of 200 images of" in " ".join(found.notes)
    assert "0007.png (the file is empty)" in " ".join(found.notes)


def test_a_protocol_that_resizes_each_image_takes_any_size(digits: np.ndarray, write: Write, judge: Callable) -> None:
    ours, data = write("a", digits[:40]), write("b", digits[100:200])
    for number in range(3):
        large = np.repeat(np.repeat(digits[number], 2, 0), 2, 1)
        Image.fromarray(large).save(ours / f"{number:04d}.png")  # the same averages
    found = judge(ours, data, protocol="clean-fid")
    assert set(found.figures) == {"FD-averages", "KID-averages"}
    assert found.figures["FD-averages"].value == pytest.approx(
        frechet_distance(features(digits[:40]), features(digits[100:200]))
    )


def test_features_that_are_no_numbers_are_a_sentence(digits: np.ndarray, write: Write, judge: Callable) -> None:
    class Broken(Averages):
        name = "broken"

        def forward(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
            return super().forward(images)[0] * float("nan"), None

    with pytest.raises(RunError, match=r"broken gave features of images of .* that are no numbers"):
        judge(write("a", digits[:30]), write("b", digits[30:60]), extractor=Broken())


def test_metrics_that_need_more_images_say_so(digits: np.ndarray, write: Write, judge: Callable) -> None:
    found = judge(write("a", digits[:10]), write("b", digits[30:60]))
    assert "KID-averages" not in found.figures
    assert "No KID: it means something from 20 images on either side." in found.notes
    with pytest.raises(RequestError, match="no figure can be computed: No IS: it needs class logits"):
        judge(Path(found.protocol.reference.source), Path(found.protocol.reference.source), metrics=["IS"])


def test_intervals_hold_the_figure_and_narrow_with_images(digits: np.ndarray, write: Write, judge: Callable) -> None:
    widths = []
    for count in (150, 600):
        found = judge(write(f"a{count}", digits[:count]), write(f"b{count}", digits[800 : 800 + count]), intervals=True)
        for figure in found.figures.values():
            if figure.interval is None:  # half of the images do not allow it
                assert figure.metric == "FD-infinity" or figure.record.least > count // 2
                continue
            assert figure.interval[0] <= figure.value <= figure.interval[1]
        low, high = found.figures["FD-averages"].interval
        widths.append(high - low)
    assert widths[1] < widths[0]


def test_grey_images_with_labels_are_judged_by_a_classifier_of_their_own(
    table: ImageTable, cache: Path, tmp_path: Path
) -> None:
    """And a prepared data set by the same one as in a pipeline: it is trained on the same images."""
    split = table.split("validation")
    np.savez(tmp_path / "labelled.npz", images=split.images[..., 0].numpy(), labels=split.labels.numpy())
    found = evaluate(tmp_path / "labelled.npz", table.folder, cache=cache, intervals=False)
    assert found.protocol.extractor["name"] == "classifier"
    assert found.protocol.extractor["accuracy"]["test"] > 0.9
    assert found.figures["agreement-classifier"].value > 0.9
    with pytest.raises(RequestError, match="--weights is for inception-2015 or onnx or dinov2 or clip"):
        evaluate(tmp_path / "labelled.npz", table.folder, cache=cache, weights="w.pth")
    np.savez(tmp_path / "others.npz", images=split.images[..., 0].numpy(), labels=split.labels.numpy() + 1)
    others = evaluate(tmp_path / "others.npz", table.folder, cache=cache, intervals=False)
    assert "agreement-classifier" not in others.figures  # its classes are others, whatever their numbers
    np.savez(tmp_path / "bare.npz", images=split.images[..., 0].numpy())
    with pytest.raises(RequestError, match="--extractor 'classifier' learns from labels"):
        evaluate(table.folder, tmp_path / "bare.npz", cache=cache, extractor="classifier")


def test_weights_that_are_not_there_are_a_sentence(digits: np.ndarray, write: Write, judge: Callable) -> None:
    ours = write("a", digits[:30])
    with pytest.raises(RequestError, match=r"dinov2 needs its weights, which no package brings: pass --weights PATH"):
        judge(ours, ours, protocol="dgm-eval", extractor=None)
    for protocol, words in (("dgm-eval", "there is no file"), ("clean-fid", "--weights: there is no file")):
        with pytest.raises(RequestError, match=words):
            judge(ours, ours, protocol=protocol, extractor=None, weights="/nowhere.pth")


def test_the_page_holds_pictures_figures_and_notes_and_no_markup_of_names(
    digits: np.ndarray, write: Write, judge: Callable
) -> None:
    found = judge(write("a<script>", digits[:30]), write("b", digits[30:90]))
    text = page("a<script>", found)
    assert "<script>" not in text
    assert text.count("data:image/png;base64,") == 2
    assert "FD-averages" in text
    assert found.protocol.digest in text


def test_digests_are_of_what_is_seen() -> None:
    grey = np.random.default_rng(0).integers(0, 256, (4, 6, 1), dtype=np.uint8)
    assert digest_of(grey) == digest_of(np.repeat(grey, 3, axis=2))
    assert digest_of(grey) != digest_of(grey.reshape(6, 4, 1))
    assert digest_of(grey) != digest_of(255 - grey)


def test_every_protocol_names_what_there_is() -> None:
    from gan_models.metrics.extractors import EXTRACTORS
    from gan_models.metrics.inception import PREPROCESSINGS
    from gan_models.metrics.scores import METRICS

    for named in PROTOCOLS.values():
        assert named.extractor == "auto" or named.extractor in EXTRACTORS
        assert set(named.metrics) <= set(METRICS)
        assert not named.preprocessing or named.preprocessing in PREPROCESSINGS


def test_images_of_more_than_8_bits_are_said_to_be_seen_with_8_and_after_which_range(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 3001, (12, 8, 8)).astype(np.uint16)
    values[:, 0, 0] = 3000
    (tmp_path / "scans").mkdir()
    for number, each in enumerate(values):
        Image.fromarray(each).save(tmp_path / "scans" / f"{number:02d}.png")
    folder = open_images(tmp_path / "scans", num=4, seed=0, device=CPU)
    assert any("4095 becomes white; metrics see 8 bits" in note for note in folder.notes)
    gm.prepare(tmp_path / "scans", tmp_path / "data", size=8, depth=16, validation=0.0, test=0.0, progress=False)
    table = open_images(tmp_path / "data", num=4, seed=0, device=CPU)
    assert "images are stored in 16 bits, of which metrics see the first 8" in table.notes
    seen = np.concatenate(list(table.read(np.arange(12), 1)))
    assert sorted(seen[:, 0, 0, 0].tolist()) == [round(3000 / 4095 * 255)] * 12

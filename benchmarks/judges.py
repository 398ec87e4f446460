"""The same two folders of images, judged by `evaluate` and by public packages, with equal weights: who disagrees.

Writes images of CIFAR-10's train and test splits as PNG into two folders, and gives all of them the same Inception
network with random weights: features mean nothing then, but all that lies between files and figures is compared.

    python benchmarks/judges.py --cifar10 FOLDER [--count 400]

FOLDER holds train.parquet and test.parquet in the hub's convention. torch-fidelity and prdc come with the extra `dev`;
columns of clean-fid and torchmetrics are filled where these can be imported. Prints a table in Markdown.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
import torchvision
from PIL import Image
from torch import Tensor, nn

from gan_models.data.sources import parse_source
from gan_models.metrics.evaluating import evaluate
from gan_models.metrics.inception import Inception2015

NEIGHBOURS = 5
Figures = Mapping[str, float]


def write_folder(folder: Path, parquet: Path, count: int) -> Path:
    """The first `count` images, as PNG."""
    folder.mkdir()
    for batch in parse_source(f"parquet:{parquet}").open().batches(range(count), 100):
        if batch.fill is not None:
            batch.fill(batch)
        for item in batch.items:
            image = Image.open(io.BytesIO(item)) if isinstance(item, bytes) else item
            assert isinstance(image, Image.Image)
            image.convert("RGB").save(folder / f"{len(list(folder.iterdir())):05d}.png")
    return folder


def random_weights(path: Path) -> Path:
    """Of an Inception network, in the layout of the published file; of a size that lets differences through."""
    torch.manual_seed(0)
    network = torchvision.models.inception_v3(
        weights=None, num_classes=1008, aux_logits=False, init_weights=False, transform_input=False
    )
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    nn.init.normal_(network.fc.weight, std=0.1)
    torch.save(network.state_dict(), path)
    return path


def ours(one: Path, two: Path, weights: Path, preprocessing: str, cache: Path) -> Figures:
    extractor = Inception2015(weights, preprocessing=preprocessing)
    protocol = "clean-fid" if preprocessing == "clean-fid" else "project"
    names = ["FD", "KID", "IS", "precision", "recall", "density", "coverage"]
    found = evaluate(one, two, protocol=protocol, metrics=names, extractor=extractor, intervals=False, cache=cache)
    return {figure.metric: figure.value for figure in found.figures.values()}


def by_torch_fidelity(one: Path, two: Path, weights: Path, subset: int, splits: int) -> Figures:
    from torch_fidelity import calculate_metrics

    found = calculate_metrics(
        input1=str(one), input2=str(two), isc=True, fid=True, kid=True, prc=True, cuda=False, cache=False,
        verbose=False, save_cpu_ram=True, samples_shuffle=True, isc_splits=splits, kid_subset_size=subset,
        prc_neighborhood=NEIGHBOURS, feature_extractor="inception-v3-compat", feature_layer_prc="2048",
        feature_extractor_weights_path=str(weights),
    )  # fmt: skip
    return {
        "FD": found["frechet_inception_distance"],
        "KID": found["kernel_inception_distance_mean"],
        "IS": found["inception_score_mean"],
        "precision": found["precision"],
        "recall": found["recall"],
    }


class Given(nn.Module):
    """A network that hands back the features it is given."""

    num_features = 2048

    def forward(self, features: Tensor) -> Tensor:
        return features


Sides = tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Features and logits of the sample and of the reference."""


def plain_features(one: Path, two: Path, weights: Path) -> Sides:
    """Of torch-fidelity's network as it is."""
    network = Inception2015(weights, folded=False)
    found = [[network.features_and_logits(b.permute(0, 2, 3, 1)) for b in batches(each)] for each in (one, two)]
    sides = [(torch.cat([b.features for b in side]), torch.cat([_known(b.logits) for b in side])) for side in found]
    return sides[0], sides[1]


def _known(logits: Tensor | None) -> Tensor:
    assert logits is not None
    return logits


def antialiased_features(one: Path, two: Path, weights: Path) -> Sides:
    """As torchmetrics extracts them when it is not told otherwise."""
    from torchmetrics.image.fid import NoTrainInceptionV3

    network = NoTrainInceptionV3("inception-v3-compat", ["2048", "logits_unbiased"], str(weights))
    with torch.inference_mode():
        found = [[network._torch_fidelity_forward(b) for b in batches(each)] for each in (one, two)]
    sides = [tuple(torch.cat(parts).clone() for parts in zip(*side, strict=True)) for side in found]
    return (sides[0][0], sides[0][1]), (sides[1][0], sides[1][1])


def by_torchmetrics(sides: Sides, subset: int, splits: int) -> Figures:
    from torchmetrics.image.fid import FrechetInceptionDistance
    from torchmetrics.image.inception import InceptionScore
    from torchmetrics.image.kid import KernelInceptionDistance

    (fake, logits), (real, _) = sides
    distance, kernel = FrechetInceptionDistance(Given()), KernelInceptionDistance(Given(), subset_size=subset)
    score = InceptionScore(Given(), splits=splits)
    for metric in (distance, kernel):
        metric.update(real, real=True)
        metric.update(fake, real=False)
    score.update(logits)
    return {"FD": float(distance.compute()), "KID": float(kernel.compute()[0]), "IS": float(score.compute()[0])}


def batches(folder: Path) -> Iterator[Tensor]:
    """uint8 [B, 3, H, W]."""
    images = [np.asarray(Image.open(file)) for file in sorted(folder.iterdir())]
    yield from torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).split(32)


def by_clean_fid(one: Path, two: Path, weights: Path) -> Figures:
    """Its loader, its resizer, its figures; the network is torch-fidelity's behind the resizing, as it has its own."""
    from cleanfid import fid

    extractor = Inception2015(weights, folded=False, preprocessing="clean-fid")

    def network(images: Tensor) -> Tensor:
        return extractor._after_resizing((images - 128) / 128)[0]

    fake, real = (
        fid.get_folder_features(
            str(each), network, num_workers=0, batch_size=32, device=torch.device("cpu"), mode="clean", verbose=False
        )
        for each in (one, two)
    )
    return {"FD": float(fid.fid_from_feats(fake, real)), "KID": fid.kernel_distance(fake, real)}


def by_prdc(sides: Sides) -> Figures:
    from prdc import compute_prdc

    (fake, _), (real, _) = sides
    found: Figures = compute_prdc(real.numpy(), fake.numpy(), nearest_k=NEIGHBOURS)
    return found


def table(mine: Figures, others: Mapping[str, Figures]) -> str:
    lines = ["| figure | ours | " + " | ".join(others) + " |", "| --- | --- |" + " --- |" * len(others)]
    for name, value in mine.items():
        cells = [_cell(value, found.get(name)) for found in others.values()]
        lines.append(f"| {name} | {value:.6g} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(ours: float, theirs: float | None) -> str:
    return "" if theirs is None else f"{theirs:.6g} ({theirs - ours:+.1e})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cifar10", type=Path, required=True)
    parser.add_argument("--count", type=int, default=400)
    arguments = parser.parse_args()
    files = [arguments.cifar10 / f"{split}.parquet" for split in ("train", "test")]
    if not all(file.is_file() for file in files):
        sys.exit(f"skipped: {' and '.join(map(str, files))} are not there")
    started, count = time.monotonic(), arguments.count
    subset, splits = min(1000, count // 2), max(1, min(10, count // 100))
    with tempfile.TemporaryDirectory() as scratch, contextlib.redirect_stdout(sys.stderr):
        root = Path(scratch)
        one, two = (write_folder(root / file.stem, file, count) for file in files)
        weights = random_weights(root / "weights.pth")
        plain = plain_features(one, two, weights)
        standard: dict[str, Figures] = {
            f"torch-fidelity {version('torch-fidelity')}": by_torch_fidelity(one, two, weights, subset, splits),
            f"prdc {version('prdc')}": by_prdc(plain),
        }
        if find_spec("torchmetrics"):
            named = f"torchmetrics {version('torchmetrics')}"
            standard[f"{named}, antialias=False"] = by_torchmetrics(plain, subset, splits)
            standard[f"{named}, as it comes"] = by_torchmetrics(antialiased_features(one, two, weights), subset, splits)
        mine = ours(one, two, weights, "tensorflow-1", root / "cache")
        clean = ours(one, two, weights, "clean-fid", root / "cache")
        resized: dict[str, Figures] = {}
        if find_spec("cleanfid"):
            resized[f"clean-fid {version('clean-fid')}"] = by_clean_fid(one, two, weights)
    print(f"{count} images of CIFAR-10's train split against {count} of its test split, random weights\n")
    print(table(mine, standard), end="\n\n")
    print(table({name: clean[name] for name in ("FD", "KID")}, resized))
    print(f"\n{time.monotonic() - started:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()

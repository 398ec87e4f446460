"""Independent judges of generated digits: classifiers trained on all 60,000 MNIST training images.

They share nothing with the project's own extractor: other data, other networks, other weights. There are two, because
how sure a classifier is of a doubtful image depends on how it was trained. Prints one JSON object with each judge's
accuracy on MNIST's 10,000 test images and, on those and on N generated images, its mean confidence, the Inception Score
under it, the share of images it assigns to the class that was asked for, the share of each digit, and the Frechet
distance to the test images in the judge's own 128 features; beside that, what as many training images would have.

    python benchmarks/judge.py GENERATOR_FOLDER --mnist PATH_TO_MNIST_PARQUET_FOLDER
"""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq
import torch
from PIL import Image
from torch import Tensor, nn


def read_mnist(path: Path, size: int) -> tuple[Tensor, Tensor]:
    """Images float32 [N, 1, size, size] in [-1, 1] and labels [N] from a Parquet file of PNGs."""
    table = pq.read_table(path)
    pixels = np.stack(
        [
            np.asarray(image if image.size == (size, size) else image.resize((size, size), Image.Resampling.BICUBIC))
            for image in (Image.open(io.BytesIO(row["bytes"])) for row in table["image"].to_pylist())
        ]
    )
    return torch.from_numpy(pixels).unsqueeze(1).float() / 127.5 - 1, torch.tensor(table["label"].to_pylist())


def regularised_network(size: int) -> nn.Sequential:
    def block(inputs: int, outputs: int) -> list[nn.Module]:
        return [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]

    return nn.Sequential(
        *block(1, 32), *block(32, 32), nn.MaxPool2d(2), *block(32, 64), *block(64, 64), nn.MaxPool2d(2),
        nn.Flatten(), nn.Dropout(0.3), nn.Linear(64 * (size // 4) ** 2, 128), nn.ReLU(), nn.Linear(128, 10),
    )  # fmt: skip


def plain_network(size: int) -> nn.Sequential:
    def block(inputs: int, outputs: int) -> list[nn.Module]:
        return [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()]

    return nn.Sequential(
        *block(1, 32), *block(32, 32), nn.MaxPool2d(2), *block(32, 64), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(64 * (size // 4) ** 2, 128), nn.ReLU(), nn.Linear(128, 10),
    )  # fmt: skip


class Judge(NamedTuple):
    """How a judge is built and trained."""

    network: Callable[[int], nn.Sequential]
    epochs: int
    weight_decay: float


# Dropout, batch norm and weight decay make a classifier less sure of images that are unlike its training images, which
# is what a generator's failures are: the regularised judge is the stricter one of the two.
JUDGES = {"regularised": Judge(regularised_network, 4, 1e-2), "plain": Judge(plain_network, 6, 0.0)}


def trained_judge(mnist: Path, size: int, cache: Path, kind: str = "regularised") -> nn.Sequential:
    """The judge for images of this size, trained once and kept as `cache`/KIND-SIZE.pt."""
    file = cache / f"{kind}-{size}.pt"
    judge = JUDGES[kind]
    torch.manual_seed(1)
    network = judge.network(size).to(memory_format=torch.channels_last)
    if file.is_file():
        network.load_state_dict(torch.load(file, weights_only=True))
        return network.eval()
    images, labels = read_mnist(mnist / "train.parquet", size)
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=judge.weight_decay)
    steps = judge.epochs * (len(images) // 128)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3 if kind == "regularised" else 1e-3, steps)
    for _ in range(judge.epochs):
        for index in torch.randperm(len(images)).split(128)[: len(images) // 128]:
            with torch.autocast("cpu", torch.bfloat16):
                logits = network(images[index].contiguous(memory_format=torch.channels_last))
            loss = nn.functional.cross_entropy(logits.float(), labels[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    cache.mkdir(parents=True, exist_ok=True)
    torch.save(network.state_dict(), file)
    return network.eval()


@torch.inference_mode()
def probabilities(network: nn.Module, images: Tensor) -> Tensor:
    return torch.cat([network(part).double().softmax(1) for part in images.split(500)])


@torch.inference_mode()
def features(network: nn.Sequential, images: Tensor) -> Tensor:
    """What the judge's last layer reads, [N, 128]."""
    return torch.cat([network[:-1](part) for part in images.split(500)])


def verdict(probability: Tensor, asked: Tensor | None) -> dict[str, object]:
    """Figures for probabilities [N, 10] and the classes asked for [N], None where the generator takes none."""
    parts = probability.chunk(10)
    scores = torch.stack([(p * (p.log() - p.mean(0).log())).nan_to_num().sum(1).mean().exp() for p in parts])
    decided = probability.argmax(1)
    return {
        "confidence": probability.amax(1).mean().item(),
        "inception_score": scores.mean().item(),
        "inception_score_std": scores.std().item(),
        "agreement": None if asked is None else (decided == asked).double().mean().item(),
        "digit_shares": (torch.bincount(decided, minlength=10) / len(decided)).tolist(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("generator", type=Path)
    parser.add_argument("--mnist", type=Path, required=True)
    parser.add_argument("--samples", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "gan-pipeline" / "judge")
    options = parser.parse_args()

    from gan_models.metrics.frechet import Gaussian, frechet_distance
    from gan_models.sampling.generator import load_generator

    generator = load_generator(options.generator)
    size = generator.info.image_shape[1]
    images, labels = read_mnist(options.mnist / "test.parquet", size)
    others = read_mnist(options.mnist / "train.parquet", size)[0][: options.samples]
    samples = generator.sample(options.samples, seed=options.seed)
    generated = samples.images.permute(0, 3, 1, 2).float() / 127.5 - 1
    report = {}
    for kind in JUDGES:
        judge = trained_judge(options.mnist, size, options.cache, kind)
        on_real, real = probabilities(judge, images), Gaussian.of(features(judge, images))
        report[kind] = {
            "accuracy": (on_real.argmax(1) == labels).double().mean().item(),
            "on_test_images": verdict(on_real, labels),
            "on_samples": verdict(probabilities(judge, generated), samples.labels),
            "FD": frechet_distance(features(judge, generated), real),
            "FD_of_training_images": frechet_distance(features(judge, others), real),
        }
    print(json.dumps(report, indent=2))
    if min(judged["accuracy"] for judged in report.values()) < 0.99:
        sys.exit("a judge is itself below 99 %, so its word counts for nothing")


if __name__ == "__main__":
    main()

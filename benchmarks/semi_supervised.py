"""What unlabelled images are worth: `sgan`'s classifier beside the same network trained on its labelled images alone.

For each seed the recipe is trained on mnist-5k with `labels_per_class` labels a class. The other classifier has equal
network, initialisation, optimizer, number of steps, labelled images and moving average, and sees nothing else. Both are
asked about test images that neither has seen: mnist-5k's test split, or with --mnist the 10,000 in FOLDER/test.parquet,
of which mnist-5k holds none. Prints one JSON object.

    python benchmarks/semi_supervised.py [--set key=value ...] [--seeds 3] [--mnist FOLDER] [--work FOLDER]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from judge import read_mnist
from torch import Tensor

from components.prepare_data import step as prepare_data
from components.stage.stage import RunContext, open_stage
from gan_models.averaging import ExponentialMovingAverage
from gan_models.data.table import ImageTable, Split, to_uint8
from gan_models.games.semi_supervised.game import SemiSupervisedGame, supervised_loss
from gan_models.recipes import Recipe, load_recipe
from gan_models.sampling.generator import LoadedClassifier, load_classifier
from gan_models.training.loop import train


class Lines:
    """Tells on standard error how the training goes."""

    def progress(self, step: int, figures: Mapping[str, float]) -> None: ...

    def tick(self, step: int, metrics: Mapping[str, float], grid: Path) -> None:
        print(step, {name: round(value, 3) for name, value in metrics.items()}, file=sys.stderr, flush=True)

    def note(self, sentence: str) -> None:
        print(sentence, file=sys.stderr, flush=True)

    def stop_requested(self) -> bool:
        return False


def prepared(recipe: Recipe, work: Path) -> ImageTable:
    """The recipe's data as an image table, made where it is not there yet."""
    folder = work / f"{recipe.data.source}-{recipe.data.size}"
    if not folder.exists():
        with open_stage("prepare_data", RunContext(state_dir=str(work / "state"))) as stage:
            prepare_data.run(prepare_data.Request(data=recipe.data, output=folder), stage)
    return ImageTable.open(folder)


def trained_on_labels_alone(recipe: Recipe, table: ImageTable, split: Split, seed: int) -> LoadedClassifier:
    """The recipe's D, trained on the labelled images that its game chooses, and on nothing else."""
    torch.manual_seed(seed)
    device = torch.device("cpu")
    game = SemiSupervisedGame(recipe, table.metadata.shape, device)
    game.prepare(split, seed)
    network, optimizer, labelled = game.discriminator.train(), game.optimizers["discriminator"], game.labelled
    average = ExponentialMovingAverage(network)
    assert labelled.labels is not None
    for step in range(1, recipe.training.steps + 1):
        chosen = torch.randperm(len(labelled.images))[: recipe.training.batch_size]
        with game.precision():
            logits = network(labelled.images[chosen]).class_logits
        optimizer.zero_grad(set_to_none=True)
        supervised_loss(logits.float(), labelled.labels[chosen]).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        average.update(network, step, recipe.training.ema)
    averaged = average.snapshot(network, {"images": labelled.images})
    return LoadedClassifier(averaged, table.metadata.class_names, device)


def accuracy(classifier: LoadedClassifier, images: Tensor, labels: Tensor) -> float:
    return (classifier.probabilities(images).argmax(1) == labels).double().mean().item()


def compared(recipe: Recipe, table: ImageTable, test: tuple[Tensor, Tensor], seed: int, work: Path) -> dict[str, Any]:
    """Both classifiers of one seed, and every kept checkpoint of the semi-supervised one."""
    split = table.split("train")
    folder = work / f"sgan-seed-{seed}"
    train(recipe, split, table.metadata, folder, seed=seed, device=torch.device("cpu"), reporter=Lines())
    kept = sorted((folder / "generators").iterdir())
    along = {path.name: accuracy(load_classifier(path), *test) for path in kept}
    alone = accuracy(trained_on_labels_alone(recipe, table, split, seed), *test)
    return {"seed": seed, "semi_supervised": along[kept[-1].name], "labels_alone": alone, "checkpoints": along}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", action="append", default=[], dest="overrides", metavar="KEY=VALUE")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--mnist", type=Path, help="folder with MNIST's test.parquet")
    parser.add_argument("--work", type=Path, default=Path("semi-supervised"))
    arguments = parser.parse_args()
    recipe = load_recipe("sgan", ["training.threads=1", *arguments.overrides])
    table = prepared(recipe, arguments.work)
    if arguments.mnist:
        images, labels = read_mnist(arguments.mnist / "test.parquet", recipe.data.size.shorter)
        test = to_uint8(images), labels
    else:
        held_out = table.split("test")
        assert held_out.labels is not None
        test = held_out.images, held_out.labels
    rows = [compared(recipe, table, test, seed, arguments.work) for seed in range(arguments.seeds)]
    means = {name: statistics.mean(row[name] for row in rows) for name in ("semi_supervised", "labels_alone")}
    print(json.dumps({"test_images": len(test[1]), "rows": rows, "means": means}, indent=2))


if __name__ == "__main__":
    main()

"""Does the critic's estimate of the Wasserstein distance fall together with the quality of the images?

Trains the recipes whose critic estimates it, keeps twenty generators each, and lays the negated critic loss at each of
them (mean since the one before) beside their Frechet distance to the validation images, as select_checkpoint measures
it. Prints Spearman's rank correlation, and draws docs/images/wasserstein.png. (WGAN paper, section 4.2, figures 3 and
4, where people judged the images.)

    python benchmarks/wasserstein.py [--recipe NAME ...] [--set KEY=VALUE ...] [--seed N] [--work FOLDER]
                                     [--docs FOLDER]
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy.stats import spearmanr

from components.prepare_data import step as prepare_data
from components.select_checkpoint import step as select_checkpoint
from components.stage.stage import RunContext, open_stage
from components.train_gan import step as train_gan
from gan_models.metrics.locations import default_cache
from gan_models.recipes import load_recipe, model_document

KEPT = 20
DOCS = Path(__file__).parents[1] / "docs"


class Course(NamedTuple):
    """What a training went through, one entry for each kept generator."""

    recipe: str
    metric: str
    steps: list[int]
    estimates: list[float]
    distances: list[float]

    def correlation(self) -> float:
        """Spearman's, of estimates and distances: 1 where they rank the generators alike."""
        return float(spearmanr(self.estimates, self.distances).statistic)


def course(name: str, settings: Sequence[str], seed: int, work: Path) -> Course:
    """Prepares, trains and scores; a second call with the same folder goes on from what is there."""
    recipe = load_recipe(name, [f"training.keep={KEPT}", *settings])
    recipe = load_recipe(name, [f"training.keep={KEPT}", *settings, f"training.tick={recipe.training.steps // KEPT}"])
    context = RunContext(state_dir=str(work / "state"))
    dataset, training, selected = work / "dataset", work / f"{name}-training", work / f"{name}-selected"
    with open_stage("prepare_data", context) as stage:
        prepare_data.run(prepare_data.Request(data=recipe.data, output=dataset), stage)
    with open_stage("train_gan", context) as stage:
        train_gan.run(
            train_gan.Request(
                model=model_document(recipe), dataset=dataset, output=training, state_dir=work / "state", seed=seed
            ),
            stage,
        )
    with open_stage("select_checkpoint", context) as stage:
        chosen = select_checkpoint.run(
            select_checkpoint.Request(
                training=training, dataset=dataset, selection=recipe.selection, evaluation=recipe.evaluation,
                output=selected, cache_dir=default_cache(), seed=seed,
            ), stage,
        )  # fmt: skip
    distances = {int(row["step"]): float(row["score"]) for row in _rows(selected / "selection.csv")}
    estimates = {int(float(row["step"])): float(row["D/wasserstein"]) for row in _rows(training / "history.csv")}
    steps = sorted(distances.keys() & estimates.keys())
    return Course(name, chosen.metric, steps, [estimates[s] for s in steps], [distances[s] for s in steps])


def _rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))


def draw(courses: Sequence[Course], path: Path) -> None:
    """A panel for each recipe: both curves by step, each with an axis of its own."""
    figure = Figure(figsize=(5.2 * len(courses), 3.4), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    for position, each in enumerate(courses, start=1):
        left = figure.add_subplot(1, len(courses), position)
        right = left.twinx()
        left.plot(each.steps, each.estimates, "o-", color="#33638d", label="Wasserstein estimate")
        right.plot(each.steps, each.distances, "s--", color="#c0392b", label=each.metric)
        right.set_yscale("log")
        left.set_title(f"{each.recipe}: rank correlation {each.correlation():.2f}", fontsize=10)
        left.set_xlabel("generator step")
        left.set_ylabel("negated critic loss", color="#33638d")
        right.set_ylabel(each.metric, color="#c0392b")
        left.grid(alpha=0.3)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", action="append", metavar="NAME", help="default: wgan and wgan-gp")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, help="keep the trainings here, and go on with those that are there")
    parser.add_argument("--docs", type=Path, default=DOCS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        work = given.work or Path(scratch)
        courses = [course(name, given.settings, given.seed, work) for name in given.recipe or ("wgan", "wgan-gp")]
    for each in courses:
        print(json.dumps({**each._asdict(), "rank_correlation": each.correlation()}), flush=True)
    draw(courses, given.docs / "images" / "wasserstein.png")


if __name__ == "__main__":
    main()

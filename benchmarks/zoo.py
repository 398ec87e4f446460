"""Every image recipe on the same data and budget on this machine: trained, evaluated, judged, drawn.

Each recipe trains its own number of steps, or as many as fit into the budget: a short training that passes through all
of its phases says how fast it is. Then the project's own stages prepare, train, select and evaluate in one process.
Digits are also shown to the classifier of `judge.py`, which is trained on all of MNIST (--mnist). One line of JSON for
each recipe is appended to zoo.jsonl beside this script, and docs/zoo.md is drawn from the newest lines: a table, and a
grid of samples for each.

    python benchmarks/zoo.py [--recipe NAME ...] [--budget MINUTES] [--data SOURCE] [--mnist FOLDER] [--threads N]
                             [--seed N] [--set KEY=VALUE ...] [--results FILE] [--docs FOLDER] [--only-draw]
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import judge as judging
import torch

from components.evaluate_gan import step as evaluate_gan
from components.prepare_data import step as prepare_data
from components.select_checkpoint import step as select_checkpoint
from components.stage.environment import environment
from components.stage.stage import RunContext, open_stage
from components.train_gan import step as train_gan
from gan_models.data.table import ImageTable
from gan_models.errors import RequestError, RunError
from gan_models.games.adversarial.spec import Adversarial
from gan_models.metrics.locations import default_cache
from gan_models.recipes import Recipe, load_recipe, model_document, recipe_names
from gan_models.sampling.generator import load_generator
from gan_models.sampling.grids import image_grid, save_png
from gan_models.training.loop import train
from pipeline.request.plan import Plan, make_plan
from pipeline.request.request import Request

RESULTS = Path(__file__).with_name("zoo.jsonl")
CIFAR10_RESULTS = Path(__file__).with_name("cifar10.jsonl")
DOCS = Path(__file__).parents[1] / "docs"
PICTURES = Path("images") / "zoo"
# Their outputs are no pictures from nothing, so they are measured by what they are for.
OTHER_BENCHMARKS = {
    "cycle": "benchmarks/translation.py",
    "attribute-transfer": "benchmarks/translation.py",
    "colorization": "benchmarks/translation.py",
    "text": "benchmarks/text_to_image.py",
}
MNIST_SOURCES = ("mnist-5k", "torchvision:MNIST")
SAMPLES = 5000
# Of the recipes that draw digits, and of those that are asked which; agreement: the share of images of that digit.
ASKED = {"confidence": 0.92, "inception_score": 8.0, "rarest": 0.04}
ASKED_OF_CONDITIONAL = {"confidence": 0.98, "inception_score": 9.5, "rarest": 0.04, "agreement": 0.95}
_COLUMNS, _ROWS = 10, 5
_WARM_UP_STEPS = 20
_WARM_UP_SHARE = 0.05  # of the budget
_MARGIN = 0.93  # of the budget is planned for: reports, checkpoints and a busier machine take the rest


@dataclass(frozen=True)
class Options:
    """What the command line asked for."""

    budget: float
    """Seconds of training."""
    data: str
    mnist: Path | None
    threads: int
    seed: int
    settings: tuple[str, ...]
    results: Path
    docs: Path


class Quiet:
    """A reporter that says nothing."""

    def progress(self, step: int, figures: Mapping[str, float]) -> None: ...
    def tick(self, step: int, metrics: Mapping[str, float], grid: Path) -> None: ...
    def note(self, sentence: str) -> None: ...

    def stop_requested(self) -> bool:
        return False


# -- how many steps fit ------------------------------------------------------------------------------------------------


def work(recipe: Recipe, steps: int) -> float:
    """What so many generator steps cost, in units of an ordinary one: a critic's warm-up moves it far more often."""
    warm_up = recipe.game.critic_warm_up if isinstance(recipe.game, Adversarial) else None
    if warm_up is None:
        return steps
    warm = sum(1 for step in range(steps) if step < warm_up.first or step % warm_up.every == 0)
    return steps + warm * (warm_up.steps / recipe.game.discriminator_steps - 1)


def steps_within(recipe: Recipe, rate: float, seconds: float) -> int:
    """The recipe's own steps, or as many as fit into so many seconds at `rate` units of work a second."""
    most = recipe.training.steps
    while most > 1 and work(recipe, most) > rate * seconds:
        most -= max(1, most // 100)
    return most


def measured_rate(plan: Plan, table: ImageTable, options: Options) -> float:
    """Units of work a second: two short trainings, the second a twentieth of the budget long."""
    steps = min(_WARM_UP_STEPS, plan.recipe.training.steps)
    rate = _timed(plan, table, options, steps)
    if work(plan.recipe, plan.recipe.training.steps) < 0.5 * rate * options.budget:
        return rate  # all of its steps fit by far
    wanted = int(rate * _WARM_UP_SHARE * options.budget)
    if wanted > steps:  # the first one also paid for everything that is done once
        rate = _timed(plan, table, options, min(wanted, plan.recipe.training.steps))
    return rate


def _timed(plan: Plan, table: ImageTable, options: Options, steps: int) -> float:
    quick = [f"training.steps={steps}", f"training.tick={steps}", "training.keep=1"]
    recipe = planned(plan.recipe.name, options, quick).recipe
    with tempfile.TemporaryDirectory() as folder:
        split, device = table.split("train"), torch.device("cpu")
        metadata, seed = table.metadata, options.seed
        outcome = train(recipe, split, metadata, Path(folder), seed=seed, device=device, reporter=Quiet())
    return work(recipe, steps) / outcome.seconds


# -- one recipe --------------------------------------------------------------------------------------------------------


def run_recipe(name: str, options: Options, folder: Path) -> dict[str, Any]:
    """Prepares, trains within the budget, selects, evaluates and judges; one line of results."""
    plan = planned(name, options)
    dataset, state = folder / "dataset", folder / "state"

    def stage(step: Any, **request: Any) -> Any:
        stage_name = step.__name__.split(".")[1]
        with open_stage(stage_name, RunContext(state_dir=str(state))) as opened:
            return step.run(step.Request(**request), opened)

    stage(prepare_data, data=plan.recipe.data, output=dataset)
    rate = measured_rate(plan, ImageTable.open(dataset), options)
    steps = steps_within(plan.recipe, rate, _MARGIN * options.budget)
    recipe = planned(name, options, [f"training.steps={steps}"]).recipe
    common = {"dataset": dataset, "seed": options.seed}
    shared = {**common, "evaluation": recipe.evaluation, "cache_dir": default_cache()}
    trained = stage(train_gan, model=model_document(recipe), output=folder / "training", state_dir=state, **common)
    selected = folder / "selected"
    stage(select_checkpoint, training=folder / "training", selection=recipe.selection, output=selected, **shared)
    judged = stage(evaluate_gan, generator=selected, output=folder / "report", **shared)
    generator = load_generator(selected)
    grid = generator.sample(_COLUMNS * _ROWS, seed=options.seed).images
    save_png(image_grid(grid, _COLUMNS), options.docs / PICTURES / f"{name}.png")
    return {
        "recipe": name,
        "data": options.data,
        "size": recipe.data.model_dump()["size"],
        "seed": options.seed,
        "settings": list(options.settings),
        "budget_minutes": options.budget / 60,
        "steps": steps,
        "recipe_steps": plan.recipe.training.steps,
        "seconds": trained.seconds,
        "selected_step": generator.info.step,
        "collapsed": trained.collapsed,
        "conditional": recipe.conditional,
        "headline": {name: judged.metrics[name] for name in judged.headline},
        "judge": digits_verdict(selected, options),
        "threads": options.threads,
        "hardware": hardware(),
        "environment": environment(),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def planned(name: str, options: Options, more: Sequence[str] = ()) -> Plan:
    """The recipe with what the command line set, and `more`."""
    settings = [f"training.threads={options.threads}", *options.settings, *more]
    return make_plan(Request(recipe=name, data=options.data, overrides=tuple(settings), seed=options.seed))


def digits_verdict(folder: Path, options: Options) -> dict[str, Any] | None:
    """What the judge says of 5,000 samples; None where the data are no MNIST digits, or no MNIST to train it on."""
    generator = load_generator(folder)
    if options.mnist is None or options.data not in MNIST_SOURCES or generator.info.image_shape[0] != 1:
        return None
    size = generator.info.image_shape[1]
    network = judging.trained_judge(options.mnist, size, default_cache() / "judge")
    images, labels = judging.read_mnist(options.mnist / "test.parquet", size)
    accuracy = (judging.probabilities(network, images).argmax(1) == labels).double().mean().item()
    samples = generator.sample(SAMPLES, seed=options.seed)
    pixels = samples.images.permute(0, 3, 1, 2).float() / 127.5 - 1
    found = judging.verdict(judging.probabilities(network, pixels), samples.labels)
    return {"judge_accuracy": accuracy, "samples": SAMPLES, "rarest": min(found["digit_shares"]), **found}


def hardware() -> dict[str, Any]:
    """The processor as the system names it."""
    model = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.is_file():
        lines = information.read_text(encoding="utf-8").splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), model)
    return {"processor": model, "capability": torch.backends.cpu.get_cpu_capability()}


# -- the page ----------------------------------------------------------------------------------------------------------


def missed(row: Mapping[str, Any]) -> list[str]:
    """What a row of digits misses of what is asked of it; of those that are asked for a digit that is more."""
    verdict = row["judge"]
    if verdict is None:
        return []
    asked = ASKED_OF_CONDITIONAL if row["conditional"] else ASKED
    names = {
        "confidence": f"confidence {asked['confidence']}",
        "inception_score": f"IS {asked['inception_score']}",
        "rarest": f"{100 * asked['rarest']:.0f} % of each digit",
        "agreement": f"agreement {100 * asked.get('agreement', 0):.0f} %",
    }
    found = [names[key] for key, least in asked.items() if (verdict[key] or 0.0) < least]
    return [*found, *(["judge below 99 %"] if verdict["judge_accuracy"] < 0.99 else [])]


def draw_page(rows: Sequence[Mapping[str, Any]], photographs: Sequence[Mapping[str, Any]], docs: Path) -> None:
    """docs/zoo.md of the newest line of each recipe, in the order of the names; `photographs` are of cifar10.py."""
    newest = {row["recipe"]: row for row in rows}
    lines = [
        "# The zoo",
        "",
        "Recipes that draw pictures from latents, on the same data and training budget. Drawn by "
        "`benchmarks/zoo.py` from `benchmarks/zoo.jsonl`, one run each, so that neighbours in the table may be luck.",
        "",
        _conditions(list(newest.values())),
        "",
        "Judge: a classifier trained on all of MNIST, on 5,000 samples. Asked for: mean confidence 0.92, IS 8.0, every "
        "digit 4 %; of recipes that are asked for a digit 0.98, 9.5, 4 %, and 95 % of the images of that digit. "
        "FD: Frechet distance by the project's own extractor, named in the results.",
        "",
        "| recipe | steps | seconds | FD | confidence | IS | rarest digit | agreement | misses |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
        *(_table_line(newest[name]) for name in sorted(newest)),
        "",
    ]
    for name in sorted(newest):
        lines += [f"## {name}", "", load_description(name), "", f"![{name}]({(PICTURES / name).as_posix()}.png)", ""]
    if photographs:
        lines += _photographs({row["recipe"]: row for row in photographs})
    (docs / "zoo.md").write_text("\n".join(lines), encoding="utf-8")


def _photographs(newest: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The section on CIFAR-10: how the Frechet distance fell with the steps, and the grids."""
    rows = list(newest.values())
    minutes = ", ".join(sorted({f"{row['minutes']:g}" for row in rows}))
    processor = ", ".join(sorted({row["hardware"]["processor"] for row in rows}))
    lines = [
        "# CIFAR-10",
        "",
        f"Small presets on photographs, as many steps as fit into {minutes} minutes on {processor}, threads: "
        f"{', '.join(sorted({str(row['threads']) for row in rows}))}. Drawn by `benchmarks/cifar10.py` from "
        "`benchmarks/cifar10.jsonl`; the images went through JPEG once, so these are not figures on the canonical "
        "CIFAR-10. FD by EfficientNet-Lite0: of the checkpoints on 1,000 samples and validation images, of the chosen "
        "one on 5,000 samples and test images.",
        "",
        "| recipe | steps | images a step | minutes it took | FD of the checkpoints | FD |",
        "| --- | ---: | ---: | ---: | --- | ---: |",
    ]
    for name, row in sorted(newest.items()):
        curve = ", ".join(f"{one['score']:.3g}" for one in row["checkpoints"])
        distance = next(value for key, value in row["headline"].items() if key.startswith("FD-"))
        took = f"{row['seconds'] / 60:.0f}"
        lines.append(f"| {name} | {row['steps']:,} | {row['batch']} | {took} | {curve} | {distance:.3g} |")
    lines.append("")
    for name in sorted(newest):
        steps = ", ".join(f"{one['step']:,}" for one in newest[name]["checkpoints"])
        picture = (PICTURES / f"cifar10-{name}").as_posix()
        lines += [f"## {name} on CIFAR-10", "", f"Rows: steps {steps}.", "", f"![{name}]({picture}.png)", ""]
    return lines


def load_description(name: str) -> str:
    """The recipe's own line; a recipe that is gone has none."""
    return load_recipe(name).description if name in recipe_names() else ""


def _conditions(rows: Sequence[Mapping[str, Any]]) -> str:
    """What the runs have in common, all values where they differ."""

    def values(*texts: str) -> str:
        return ", ".join(sorted(set(texts)))

    return (
        f"Data: {values(*(row['data'] for row in rows))}. Budget: "
        f"{values(*(format(row['budget_minutes'], 'g') for row in rows))} minutes of training. Threads: "
        f"{values(*(str(row['threads']) for row in rows))}, {values(*(row['hardware']['processor'] for row in rows))}. "
        f"torch {values(*(row['environment']['environment.torch'] for row in rows))}. "
        f"Seed {values(*(str(row['seed']) for row in rows))}. "
        f"{values(*(row['finished'][:10] for row in rows))}."
    )


def _table_line(row: Mapping[str, Any]) -> str:
    verdict, short = row["judge"], row["steps"] < row["recipe_steps"]
    steps = f"{row['steps']:,} of {row['recipe_steps']:,}" if short else f"{row['steps']:,}"
    distance = next((value for name, value in row["headline"].items() if name.startswith(("FD-", "FID"))), None)
    cells = [row["recipe"], steps, f"{row['seconds']:.0f}", "" if distance is None else f"{distance:.3g}"]
    if verdict is None:
        cells += ["", "", "", "", "not judged"]
    else:
        agreement = "" if verdict["agreement"] is None else f"{100 * verdict['agreement']:.1f} %"
        cells += [f"{verdict['confidence']:.3f}", f"{verdict['inception_score']:.2f}"]
        cells += [f"{100 * verdict['rarest']:.1f} %", agreement]
        cells.append(f"**{', '.join(missed(row))}**" if missed(row) else "nothing")
    return f"| {' | '.join(cells)} |"


# -- the command -------------------------------------------------------------------------------------------------------


def read_results(path: Path) -> list[dict[str, Any]]:
    """All lines so far, oldest first."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []


def main() -> int:
    """1 where a recipe failed; those after it are run all the same."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", action="append", metavar="NAME", help="default: all")
    parser.add_argument("--budget", type=float, default=10.0, metavar="MINUTES", help="of training, for each recipe")
    parser.add_argument("--data", default="mnist-5k", metavar="SOURCE")
    parser.add_argument("--mnist", type=Path, metavar="FOLDER", help="train.parquet and test.parquet, for the judge")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--docs", type=Path, default=DOCS)
    parser.add_argument("--only-draw", action="store_true", help="draw docs/zoo.md again from the results")
    given = parser.parse_args()
    options = Options(
        given.budget * 60, given.data, given.mnist, given.threads, given.seed, tuple(given.settings), given.results,
        given.docs,
    )  # fmt: skip
    torch.set_num_threads(options.threads)
    failed = [] if given.only_draw else [name for name in given.recipe or recipe_names() if not attempt(name, options)]
    rows = read_results(options.results)
    if rows:
        draw_page(rows, read_results(CIFAR10_RESULTS), options.docs)
    if failed:
        print(f"failed: {', '.join(failed)}", flush=True)
    return int(bool(failed))


def attempt(name: str, options: Options) -> bool:
    """Runs one recipe and appends its line; False where it failed, which is said."""
    kind = load_recipe(name).game.kind
    if kind in OTHER_BENCHMARKS:
        print(f"{name}: skipped, {OTHER_BENCHMARKS[kind]} measures it", flush=True)
        return True
    started = time.perf_counter()
    try:
        with tempfile.TemporaryDirectory() as folder:
            row = run_recipe(name, options, Path(folder))
    except (RequestError, RunError) as error:
        print(f"{name}: {error}", flush=True)
        return False
    with options.results.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
    problems = ", ".join(missed(row)) or "nothing"
    misses = "not judged" if row["judge"] is None else f"misses {problems}"
    print(
        f"{name}: {row['steps']} of {row['recipe_steps']} steps in {row['seconds']:.0f} s "
        f"({time.perf_counter() - started:.0f} s with everything), {misses}",
        flush=True,
    )
    return True


if __name__ == "__main__":
    sys.exit(main())

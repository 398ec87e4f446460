"""A sweep: which settings are varied, the trials that come of it, and all of them checked before one starts.

    --vary optimizers.generator.lr=1e-4,2e-4,5e-4       these values
    --vary seed=0..3                                     these whole numbers, both ends included
    --vary optimizers.generator.lr=1e-5..1e-3            for --random: any number between, as likely as any other
    --vary optimizers.generator.lr=1e-5..1e-3:log        likewise, by its logarithm

Without --random every combination is a trial, the last setting changing first; with it, so many are drawn.
"""

from __future__ import annotations

import itertools
import math
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from components.context import Trial, short_keys
from components.stage.stage import flatten
from gan_models.errors import RequestError, unknown_name
from gan_models.recipes import Recipe, model_document, recipe_digest
from gan_models.recipes.schema import MODEL_SECTIONS
from pipeline.definitions.stages import stages_of
from pipeline.request.plan import Elsewhere, Plan, default_name, make_plan, plain_json
from pipeline.request.request import Request

SEED = "seed"
MAX_TRIALS = 40
"""KFP hands the stage that ranks all trials' outputs, with the metadata of each, in one word of at most 128 KiB."""
DRAWS = 100  # for each trial that is asked for: what was drawn before is drawn again
_STAGES_OF_TRIALS = [name for name, stage in stages_of("sweep").items() if stage.sweep == "each"]
DIGITS = 3  # significant ones of a number that is drawn, so that people can read and repeat it
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_RANGE = re.compile(rf"({_NUMBER})\.\.({_NUMBER})(?::(\w+))?")


@dataclass(frozen=True)
class Range:
    """All numbers from `low` to `high`."""

    low: float
    high: float
    log: bool
    whole: bool

    def draw(self, stream: random.Random) -> str:
        if self.whole and not self.log:
            return str(stream.randint(int(self.low), int(self.high)))
        if self.log:
            value = math.exp(stream.uniform(math.log(self.low), math.log(self.high)))
        else:
            value = stream.uniform(self.low, self.high)
        # Rounding must not leave the range.
        value = min(max(float(f"{value:.{DIGITS}g}"), self.low), self.high)
        return str(round(value)) if self.whole else f"{value:g}"

    def values(self, said: str) -> list[str]:
        """For a grid; RequestError where they cannot be counted."""
        if not self.whole or self.log:
            key = said.partition("=")[0]
            raise RequestError(
                f"--vary {said}: a grid takes {'no logarithm' if self.log else 'whole numbers only'} in a range: list "
                f"the values, as in {key}=1e-4,2e-4, or add --random with the number of trials"
            )
        count = int(self.high - self.low) + 1
        if count > MAX_TRIALS:
            raise RequestError(f"--vary {said}: {count} values, and a sweep has {MAX_TRIALS} trials at most")
        return [str(int(self.low) + step) for step in range(count)]


@dataclass(frozen=True)
class Vary:
    """One setting that is varied."""

    said: str  # as it was typed
    key: str
    choices: tuple[str, ...]
    between: Range | None

    @classmethod
    def parse(cls, said: str) -> Vary:
        """Of `KEY=V1,V2` or `KEY=LOW..HIGH[:log]`; RequestError for all else."""
        key, equals, text = (part.strip() for part in said.partition("="))
        if not equals or not key or not text:
            raise RequestError(f"--vary {said}: expected KEY=V1,V2,... or KEY=LOW..HIGH, as in seed=0..3")
        if ".." in text and (found := _RANGE.fullmatch(text)):
            return cls(said, key, (), _range(said, *found.groups()))
        if ".." in text and "," not in text:
            raise RequestError(f"--vary {said}: expected two numbers, as in 1e-4..1e-2, and perhaps :log behind them")
        choices = tuple(_split(text))
        if not all(choices):
            raise RequestError(f"--vary {said}: a value between two commas is empty")
        if twice := next((each for each in choices if choices.count(each) > 1), ""):
            raise RequestError(f"--vary {said}: {twice} stands there twice")
        return cls(said, key, choices, None)

    def values(self) -> Sequence[str]:
        """All of them, for a grid."""
        return self.choices if self.between is None else self.between.values(self.said)

    def draw(self, stream: random.Random) -> str:
        return stream.choice(self.choices) if self.between is None else self.between.draw(stream)


def _range(said: str, low: str, high: str, scale: str | None) -> Range:
    if scale not in (None, "log"):
        raise RequestError(f"--vary {said}: behind a range comes :log or nothing, not :{scale}")
    found = Range(float(low), float(high), scale == "log", all(re.fullmatch(r"[-+]?\d+", each) for each in (low, high)))
    if not found.low < found.high:
        raise RequestError(f"--vary {said}: a range goes from the lower to the higher end")
    if found.log and found.low <= 0:
        raise RequestError(f"--vary {said}: only numbers above 0 have a logarithm")
    return found


def _split(text: str) -> Iterator[str]:
    """At commas, but not at those inside brackets, braces and quotes: YAML's lists and texts are values, too."""
    depth, quote, part = 0, "", ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        else:
            depth += (letter in "[{") - (letter in "]}")
        if letter == "," and not depth and not quote:
            yield part.strip()
            part = ""
        else:
            part += letter
    yield part.strip()


@dataclass(frozen=True)
class SweepRequest:
    """What is asked for: a training, and what of it is varied. Each field is an option of `gan-pipeline sweep`."""

    request: Request
    vary: tuple[str, ...]
    random: int | None = None
    random_seed: int = 0
    parallel: int = 1


@dataclass(frozen=True)
class PlannedTrial:
    """One combination, checked like a training of its own."""

    trial: Trial
    recipe: Recipe
    seed: int

    def argument(self, run: Mapping[str, Any]) -> dict[str, Any]:
        """An item of the pipeline's parameter `trials`; `run` is that of the sweep."""
        about = {**run, "trial": self.trial.model_dump(mode="json")}
        if "titles" in run:  # of its own stages alone: all trials are one argument, and a command line has an end
            about["titles"] = {name: run["titles"][name] for name in _STAGES_OF_TRIALS}
        return {"model": plain_json(model_document(self.recipe)), "seed": self.seed, "run": plain_json(about)}

    def entry(self) -> dict[str, Any]:
        """An item of the parameter `entries`."""
        about = {"varied": list(self.trial.settings), "recipe_digest": recipe_digest(self.recipe), "seed": self.seed}
        return {**self.trial.model_dump(mode="json"), **about}


@dataclass(frozen=True)
class SweepPlan(Plan):
    """The computation of a sweep; `recipe` and `seed` are what all trials share."""

    trials: tuple[PlannedTrial, ...] = ()
    vary: tuple[str, ...] = ()
    parallel: int = 1

    @property
    def settings(self) -> dict[str, Any]:
        """What the trials share, and what is varied as it was asked for."""
        varied = self.trials[0].trial.settings
        return {
            **{key: value for key, value in flatten(super().settings).items() if key not in varied},
            **{f"vary.{key.strip()}": values.strip() for key, _, values in (each.partition("=") for each in self.vary)},
            "trials": len(self.trials),
        }

    def parameters(self) -> dict[str, Any]:
        """Arguments of the sweep's pipeline, all but `run`, for a run that its environment says all about."""
        return self.arguments_for({})

    def arguments_for(self, run: Mapping[str, Any]) -> dict[str, Any]:
        """The same for one whose stages learn from the parameter `run` what they belong to."""
        shared = {key: value for key, value in super().parameters().items() if key != "model"}
        trials = [each.argument(run) for each in self.trials]
        return {**shared, "trials": trials, "entries": [each.entry() for each in self.trials]}

    @property
    def contexts(self) -> list[Trial]:
        """The trials as their stages know them."""
        return [each.trial for each in self.trials]


def make_sweep(asked: SweepRequest, elsewhere: Elsewhere | None = None) -> SweepPlan:
    """The plan for a sweep, every trial of it checked.

    Raises:
        RequestError: nothing is varied, or what all trials have to share; a value, a range or a combination cannot be;
            there are too many trials, or fewer than are to be drawn.
    """
    if asked.request.pipeline is not None:
        raise RequestError("--pipeline brings settings of its own, and a sweep varies them: leave it out")
    varied = [Vary.parse(said) for said in asked.vary]
    _check_keys(varied, asked.request)
    combinations = _grid(varied) if asked.random is None else _drawn(varied, asked.random, asked.random_seed)
    shared = make_plan(asked.request, elsewhere)
    trials = [_planned(asked.request, combination, shared, elsewhere) for combination in combinations]
    seen: dict[tuple[str, int], str] = {}
    for each in trials:
        identity = (recipe_digest(each.recipe), each.seed)
        if before := seen.get(identity):
            raise RequestError(f"--vary: {each.trial.name} and {before} are the same training: leave one out")
        seen[identity] = each.trial.name
    return SweepPlan(**vars(shared), trials=tuple(trials), vary=asked.vary, parallel=asked.parallel)


def sweep_name(plan: SweepPlan) -> str:
    """What a sweep is called where nobody says: the same whenever the same is asked for."""
    return f"sweep-{default_name(plan)}"


def _check_keys(varied: Sequence[Vary], request: Request) -> None:
    if not varied:
        raise RequestError("a sweep varies something: give --vary KEY=V1,V2,... or KEY=LOW..HIGH, as in seed=0..3")
    keys = [each.key for each in varied]
    set_already = {override.partition("=")[0].strip() for override in request.overrides}
    for each in varied:
        section = each.key.partition(".")[0]
        if keys.count(each.key) > 1:
            raise RequestError(f"--vary {each.key} is given twice: put all its values into one")
        if each.key in set_already:
            raise RequestError(f"--set {each.key} and --vary {each.key} both say its value: leave one out")
        if each.key != SEED and section not in MODEL_SECTIONS:
            if section in Recipe.model_fields:
                raise RequestError(
                    f"--vary {each.said}: {section} is the same for all trials, or they could not be compared; what is "
                    f"varied is {SEED}, or lies in {', '.join(MODEL_SECTIONS)}"
                )
            raise unknown_name("section to --vary", section, (SEED, *MODEL_SECTIONS))
    if SEED in keys and request.seed:
        raise RequestError("--seed and --vary seed both say it: leave --seed out")


def _grid(varied: Sequence[Vary]) -> list[dict[str, str]]:
    values = [each.values() for each in varied]
    if (count := math.prod(map(len, values))) > MAX_TRIALS:
        raise RequestError(
            f"these are {count} combinations, and a sweep has {MAX_TRIALS} trials at most: try --random N"
        )
    return [
        dict(zip((each.key for each in varied), each_value, strict=True)) for each_value in itertools.product(*values)
    ]


def _drawn(varied: Sequence[Vary], wanted: int, seed: int) -> list[dict[str, str]]:
    """Different ones; the first n of them are the same however many are wanted."""
    if not 1 <= wanted <= MAX_TRIALS:
        raise RequestError(f"--random {wanted}: expected a number of trials from 1 to {MAX_TRIALS}")
    stream, found = random.Random(seed), list[dict[str, str]]()
    for _ in range(DRAWS * wanted):
        drawn = {each.key: each.draw(stream) for each in varied}
        if drawn not in found:
            found.append(drawn)
        if len(found) == wanted:
            return found
    raise RequestError(f"--random {wanted}: there are only about {len(found)} different combinations: ask for fewer")


def _planned(
    request: Request, combination: Mapping[str, str], shared: Plan, elsewhere: Elsewhere | None
) -> PlannedTrial:
    named = zip(short_keys(list(combination)), combination.values(), strict=True)
    name = " ".join(f"{key}={value}" for key, value in named)
    seed = request.seed
    overrides = [f"{key}={value}" for key, value in combination.items() if key != SEED]
    try:
        if SEED in combination:
            try:
                seed = int(combination[SEED])
            except ValueError:
                raise RequestError(f"seed {combination[SEED]}: expected a whole number") from None
        changed = request.model_copy(update={"overrides": (*request.overrides, *overrides), "seed": seed})
        plan = make_plan(changed, elsewhere, like=shared)
    except RequestError as error:
        raise RequestError(f"the trial {name}: {error}") from None
    key = f"{recipe_digest(plan.recipe)[:8]}-{seed}"
    return PlannedTrial(Trial(key=key, name=name, settings=dict(combination)), plan.recipe, seed)

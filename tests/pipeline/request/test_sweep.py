"""What a sweep makes of what is typed: its trials, and what it refuses before one starts."""

from __future__ import annotations

import json

import pytest

from components.context import RunContext
from gan_models.errors import RequestError
from gan_models.recipes import recipe_digest
from gan_models.recipes.loading import parse_recipe
from pipeline.request.plan import make_plan
from pipeline.request.request import Request
from pipeline.request.sweep import MAX_TRIALS, SweepPlan, SweepRequest, Vary, make_sweep, sweep_name

REQUEST = Request(recipe="dcgan", data="digits", overrides=("training.steps=5", "data.size=8"))
LR = "optimizers.generator.lr"


def sweep(*vary: str, request: Request = REQUEST, **more: int) -> SweepPlan:
    return make_sweep(SweepRequest(request, vary, **more))


def names(plan: SweepPlan) -> list[str]:
    return [each.trial.name for each in plan.trials]


def test_a_grid_is_every_combination_the_last_setting_changing_first() -> None:
    plan = sweep(f"{LR}=1e-4,2e-4", "seed=0..2")
    assert names(plan) == [f"lr={rate} seed={seed}" for rate in ("1e-4", "2e-4") for seed in range(3)]
    assert [each.seed for each in plan.trials] == [0, 1, 2] * 2
    assert [each.recipe.optimizers.generator.lr for each in plan.trials] == [1e-4] * 3 + [2e-4] * 3
    assert len({each.recipe.optimizers.discriminator.lr for each in plan.trials}) == 1


@pytest.mark.parametrize(
    ("said", "choices"),
    [
        ("a=1,2", ("1", "2")),
        ("a= 1e-4 , 2", ("1e-4", "2")),
        ("a=[1, 2],[3]", ("[1, 2]", "[3]")),
        ("a={x: 1, y: 2},null", ("{x: 1, y: 2}", "null")),
        ("a='b,c',d", ("'b,c'", "d")),
        ("a=x", ("x",)),
        ("a=-1..1", ("-1", "0", "1")),
        ("a=v1..2,w", ("v1..2", "w")),
    ],
)
def test_values_are_split_at_commas_that_are_no_part_of_them(said: str, choices: tuple[str, ...]) -> None:
    assert tuple(Vary.parse(said).values()) == choices


def test_settings_of_equal_last_parts_are_told_apart() -> None:
    (trial,) = sweep(f"{LR}=1e-4", "optimizers.discriminator.lr=3e-4").trials
    assert trial.trial.name == "generator.lr=1e-4 discriminator.lr=3e-4"
    assert trial.trial.settings == {LR: "1e-4", "optimizers.discriminator.lr": "3e-4"}


def test_what_is_drawn_lies_in_its_range_and_is_drawn_again_by_the_same_seed() -> None:
    drawn = sweep(f"{LR}=1e-5..1e-2:log", "training.batch_size=2..8", "seed=0..1000", random=40)
    rates = [each.recipe.optimizers.generator.lr for each in drawn.trials]
    assert len(set(names(drawn))) == 40
    assert all(1e-5 <= rate <= 1e-2 for rate in rates)
    assert {each.recipe.training.batch_size for each in drawn.trials} == set(range(2, 9))
    # By its logarithm, a third of the range each; by the number itself 9 of 10 would lie in the last.
    assert min(sum(low <= rate < 10 * low for rate in rates) for low in (1e-5, 1e-4, 1e-3)) >= 6
    assert names(sweep(f"{LR}=1e-5..1e-2:log", "training.batch_size=2..8", "seed=0..1000", random=40)) == names(drawn)
    fewer = sweep(f"{LR}=1e-5..1e-2:log", "training.batch_size=2..8", "seed=0..1000", random=7)
    assert names(fewer) == names(drawn)[:7], "more trials go on from fewer"
    other = sweep(f"{LR}=1e-5..1e-2:log", "training.batch_size=2..8", "seed=0..1000", random=7, random_seed=1)
    assert names(other) != names(fewer)


def test_a_range_of_numbers_is_drawn_evenly() -> None:
    rates = [each.recipe.training.ema for each in sweep("training.ema=0.1..0.9", random=40).trials]
    assert sum(rate < 0.5 for rate in rates) == pytest.approx(20, abs=10)


def test_all_of_few_combinations_can_be_drawn() -> None:
    assert sorted(names(sweep("seed=0..1", f"{LR}=1e-4,2e-4", random=4))) == sorted(
        names(sweep("seed=0..1", f"{LR}=1e-4,2e-4"))
    )


@pytest.mark.parametrize(
    ("vary", "more", "words"),
    [
        ([], {}, "give --vary KEY=V1,V2"),
        (["seed"], {}, "--vary seed: expected KEY=V1,V2,... or KEY=LOW..HIGH"),
        (["seed="], {}, "expected KEY=V1,V2"),
        (["seed=1,,2"], {}, "a value between two commas is empty"),
        (["seed=1,2,1"], {}, "--vary seed=1,2,1: 1 stands there twice"),
        (["seed=1..x"], {}, "expected two numbers"),
        (["seed=3..1"], {}, "from the lower to the higher"),
        (["seed=0..3:lin"], {}, "comes :log or nothing, not :lin"),
        ([f"{LR}=0..1:log"], {"random": 2}, "only numbers above 0 have a logarithm"),
        ([f"{LR}=1e-4..1e-3"], {}, "a grid takes whole numbers only in a range"),
        (["seed=1..8:log"], {}, "a grid takes no logarithm"),
        ([f"seed=0..{MAX_TRIALS}"], {}, f"{MAX_TRIALS} trials at most"),
        (["seed=0..9", "training.batch_size=2..9"], {}, "these are 80 combinations"),
        (["seed=0..1"], {"random": 3}, "--random 3: there are only about 2 different combinations"),
        (["seed=0..1"], {"random": 0}, "--random 0: expected a number of trials"),
        (["seed=0,1", "seed=2"], {}, "--vary seed is given twice"),
        (["training.steps=5,6"], {}, "--set training.steps and --vary training.steps both say its value"),
        (["data.source=digits,mnist-5k"], {}, "data is the same for all trials"),
        (["evaluation.samples=8,16"], {}, "evaluation is the same for all trials"),
        (["optimiser.generator.lr=1"], {}, "did you mean 'optimizers'?"),
        # As `run` would say it, and which of them.
        ([f"{LR}=1e-4,-1"], {}, "the trial lr=-1: recipe 'dcgan': optimizers.generator.lr"),
        ([f"{LR[:-1]}t=1"], {}, "the trial lt=1: recipe 'dcgan': unknown key 'optimizers.generator.lt': did you mean"),
        (["seed=0,x"], {}, "the trial seed=x: seed x: expected a whole number"),
        (["seed=0,-3"], {}, "the trial seed=-3: --seed -3: expected a whole number from 0"),
        (["game.loss=hinge,hing"], {}, "the trial loss=hing"),
        (["training.checkpoint_seconds=1,2"], {}, "are the same training: leave one out"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(vary: list[str], more: dict[str, int], words: str) -> None:
    with pytest.raises(RequestError) as refused:
        sweep(*vary, **more)
    assert words in str(refused.value)


def test_the_seed_is_said_once() -> None:
    with pytest.raises(RequestError, match="leave --seed out"):
        sweep("seed=0,1", request=REQUEST.model_copy(update={"seed": 4}))


def test_needs_of_a_recipe_are_seen_to_for_each_trial() -> None:
    unlabelled = REQUEST.model_copy(update={"data": "toy:ring", "overrides": ()})
    with pytest.raises(RequestError, match="the trial conditioning"):
        sweep("conditioning={kind: projection}", request=unlabelled)


def test_a_trial_is_the_training_that_run_would_do() -> None:
    """So its stages have the same inputs, but for `run`, which says the trial."""
    trial = sweep(f"{LR}=1e-4,2e-4", "seed=0..2").trials[4]
    same = make_plan(REQUEST.model_copy(update={"seed": 1, "overrides": (*REQUEST.overrides, f"{LR}=2e-4")}))
    given = trial.argument({})
    assert {key: given[key] for key in ("model", "seed")} == {key: same.parameters()[key] for key in ("model", "seed")}
    document = {**json.loads(given["model"]), "data": same.recipe.data.model_dump()}
    assert recipe_digest(parse_recipe(document, "test")) == trial.entry()["recipe_digest"]


def test_stages_learn_which_trial_they_belong_to(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = sweep("seed=0..1")
    context = RunContext(run_id="a" * 32, name="the sweep", state_dir="/state")
    monkeypatch.setenv("GAN_PIPELINE_RUN", context.model_dump_json())
    first, second = (RunContext.from_environment(each.argument({})["run"]) for each in plan.trials)
    assert first.name == "seed=0"
    assert first == context.of_trial(plan.trials[0].trial), "as the command line knows it, which sends for it"
    assert len({first.run_id, second.run_id, context.run_id}) == 3
    assert first.of_sweep() == context
    assert first.logs != second.logs
    another = context.model_copy(update={"run_id": "b" * 32})
    assert another.of_trial(plan.trials[0].trial).run_id != first.run_id, "in another sweep it is another run"


def test_a_trial_keeps_its_key_in_a_larger_sweep() -> None:
    small, large = sweep("seed=0..1"), sweep("seed=0..4")
    arguments = [each.argument({}) for each in large.trials]
    assert all(each.argument({}) in arguments for each in small.trials), "so caches find its stages again"
    assert sweep_name(small) != sweep_name(large)
    assert small.digest() != large.digest()
    assert sweep("seed=0..1", parallel=2).digest() == small.digest()


def test_parameters_in_mlflow_are_what_trials_share_and_what_is_varied() -> None:
    settings = sweep(f"{LR}=1e-4,2e-4", "seed=0..2").settings
    assert settings[f"vary.{LR}"] == "1e-4,2e-4"
    assert settings["vary.seed"] == "0..2"
    assert LR not in settings
    assert "seed" not in settings
    assert settings["optimizers.discriminator.lr"] > 0

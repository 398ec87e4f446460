"""The decision as the registry keeps it: promoted, kept out, repeated after a kill."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from components.artifacts import Champion, Comparison, Exported, Figures, Outcome, read_outcome
from components.context import RunContext
from components.find_champion import step as find
from components.promote import step
from components.stage.stage import open_stage
from components.tracking.champions import Lineage, Verdict, with_alias
from components.tracking.mlflow.champions import MlflowChampions, version_tags
from components.tracking.mlflow.client import connect
from components.tracking.mlflow.runs import RUN_TAG
from components.tracking.sqlite_address import sqlite_uri
from gan_models.errors import RequestError, RunError
from gan_models.metrics.protocol import Protocol, Reference
from gan_models.recipes import load_recipe, recipe_digest
from gan_models.recipes.schema import Evaluation

RECIPE = load_recipe("dcgan")
ANY_FIGURES = Evaluation(floors={"recall": None, "coverage": None})


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two versions of a model, of the runs `old` and `new`, their generators in a folder each."""
    folder = tmp_path_factory.mktemp("store")
    client = connect(uri := sqlite_uri(folder / "mlflow.db"))
    client.create_registered_model("faces")
    for run in ("old", "new"):
        write_generator(folder / run / "generator", run)
        source = (folder / run).as_uri()
        client.create_model_version("faces", source=source, tags={RUN_TAG: run}, await_creation_for=0)
    return uri


def write_generator(folder: Path, run: str) -> Path:
    folder.mkdir(parents=True)
    facts = {"data_fingerprint": run * 8, "seed": 0, "step": 10}
    (folder / "generator.json").write_text(json.dumps(facts))
    (folder / "recipe.yaml").write_text(json.dumps(RECIPE.model_dump(mode="json")))
    return folder


@pytest.fixture
def registry(store: str) -> MlflowChampions:
    """With `old` as the champion."""
    registry = MlflowChampions(store)
    new, old = registry.versions("faces")
    registry.judge(new, Verdict(), None)
    registry.judge(old, Verdict(decision="promoted"), None)
    return registry


@pytest.fixture
def decide(store: str, tmp_path: Path, registry: MlflowChampions):
    def decide(
        promote: bool, run: str = "new", difference: float = -1.0, reason: str = "", champion: str = "1"
    ) -> Outcome:
        figures = {"challenger": 3.0, "champion": 4.0, "difference": -1.0, "low": -2.0, "high": -0.5}
        figures["difference"] = difference
        reason = reason or ("better" if promote else "worse")
        compared = Comparison(promote=promote, reason=reason, champion=champion, figures=figures)
        folders = {name: tmp_path / name for name in ("comparison", "dataset", "report", "samples")}
        for folder in folders.values():
            folder.mkdir(exist_ok=True)
        compared.write(folders["comparison"])
        Figures(
            metrics={"FD": 3.0, "IS": 2.0},
            headline=["FD"],
            protocol=Protocol(
                extractor={"name": "classifier"},
                reference=Reference(data="d", source="s", split="test", images=9),
                samples=9,
                parameters={},
            ),
        ).write(folders["report"])
        Exported(samples=0, registered_name="faces", step=10).write(folders["samples"])
        selected = tmp_path / "selected"
        if not selected.exists():
            write_generator(selected, run)
        context = RunContext(run_id=run, state_dir=str(tmp_path / "state"), tracking_uri=store, relay="external")
        with open_stage("promote", context) as stage:
            outcome = step.run(step.Request(selected=selected, **folders), stage)
        assert read_outcome(context) == outcome
        return outcome

    return decide


def test_the_better_one_gets_the_alias_with_its_lineage_and_figures(decide, registry: MlflowChampions) -> None:
    outcome = decide(True)
    assert (outcome.decision, outcome.version, outcome.champion) == ("promoted", "2", "2")
    champion = with_alias(registry.versions("faces"))
    assert champion is not None
    assert champion.version == "2"
    assert champion.verdict.against == "1"
    assert champion.verdict.figures["FD"] == 3.0
    assert champion.verdict.figures["comparison/difference"] == -1.0
    assert champion.lineage == Lineage(
        recipe="dcgan", recipe_digest=recipe_digest(RECIPE), data_fingerprint="new" * 8, seed=0, step=10
    )


def test_the_worse_one_is_kept_out_and_why_is_written_down(decide, registry: MlflowChampions) -> None:
    outcome = decide(False)
    assert (outcome.decision, outcome.version, outcome.champion) == ("kept", "2", "1")
    assert outcome.sentence == "version 1 of faces stays the champion; version 2 is worse"
    new, old = registry.versions("faces")
    assert (new.aliases, old.aliases) == (["challenger"], ["champion"])
    assert (new.verdict.decision, new.verdict.reason) == ("kept", "worse")


def test_a_difference_of_nothing_is_a_difference(decide) -> None:
    assert decide(False, difference=0.0).sentence == "version 1 of faces stays the champion; version 2 is worse"


@pytest.mark.parametrize("by_hand", ["another", "none"])
def test_a_decision_by_hand_in_between_stands(
    decide, registry: MlflowChampions, store: str, by_hand: str, tmp_path: Path
) -> None:
    """The challenger is better than version 1, which is not the champion any more."""
    client = connect(store)
    client.delete_registered_model_alias("faces", "champion")
    if by_hand == "another":
        write_generator(tmp_path / "third" / "generator", "third")
        made = client.create_model_version("faces", (tmp_path / "third").as_uri(), await_creation_for=0)
        client.set_registered_model_alias("faces", "champion", made.version)
    try:
        outcome = decide(True)
        champion = with_alias(registry.versions("faces"))
        new = next(each for each in registry.versions("faces") if each.run_id == "new")
    finally:
        if by_hand == "another":
            client.delete_model_version("faces", made.version)
    assert outcome.decision == new.verdict.decision == "kept"
    assert (
        (champion.version if champion else "")
        == outcome.champion
        == (str(made.version) if by_hand == "another" else "")
    )
    assert new.verdict.against == "1", "it was not measured against the one of today"
    assert "not compared with it: the champion changed from version 1" in outcome.sentence


def find_champion(store: str, folder: Path, run: str, evaluation: Evaluation = ANY_FIGURES) -> Champion:
    context = RunContext(run_id=run, state_dir=str(folder / "state"), tracking_uri=store, relay="external")
    with open_stage("find_champion", context) as stage:
        return find.run(find.Request(model_name="faces", evaluation=evaluation, output=folder / "champion"), stage)


def test_a_run_that_promoted_and_was_killed_finds_the_champion_that_it_was_compared_with(
    decide, store: str, tmp_path: Path
) -> None:
    decide(True)
    again = find_champion(store, tmp_path, "new")
    assert again.version == "1"
    assert (tmp_path / "champion" / "generator" / "generator.json").is_file()
    assert find_champion(store, tmp_path, "a later one").version == "2"
    assert decide(True).decision == "promoted"


def test_the_next_run_learns_what_was_kept_out(decide, store: str, tmp_path: Path) -> None:
    decide(False)
    (judged,) = find_champion(store, tmp_path, "a later one").judged
    assert (judged.version, judged.decision, judged.against) == ("2", "kept", "1")
    assert judged.lineage.data_fingerprint == "new" * 8


def test_lineages_that_other_code_wrote_down_are_read_anew(
    decide, registry: MlflowChampions, store: str, tmp_path: Path
) -> None:
    """An upgrade that gives an equal recipe another digest is no reason to train again."""
    decide(False)
    foreign = Lineage(recipe="dcgan", recipe_digest="other code's", data_fingerprint="new" * 8, seed=0, step=10)
    for version in registry.versions("faces"):
        registry.judge(version, version.verdict, foreign)
    found = find_champion(store, tmp_path, "a later one")
    (judged,) = found.judged
    assert found.lineage is not None
    assert (found.lineage.recipe_digest, judged.lineage.recipe_digest) == (recipe_digest(RECIPE),) * 2


def test_what_is_known_of_files_that_are_gone_is_what_was_written_down(
    decide, registry: MlflowChampions, store: str, tmp_path: Path
) -> None:
    decide(False)
    new, _ = registry.versions("faces")
    folder = Path(store.removeprefix("sqlite:///")).parent / "new" / "generator"
    folder.rename(folder.with_name("gone"))
    try:
        (judged,) = find_champion(store, tmp_path, "a later one").judged
    finally:
        folder.with_name("gone").rename(folder)
    assert judged.lineage == new.lineage


FIGURE = "FD-classifier"


@pytest.fixture
def registered(tmp_path: Path) -> Callable[..., str]:
    """A store with a model of versions that a training registers: each of some data, with a figure or none."""

    def registered(*versions: tuple[str, float | None]) -> str:
        client = connect(uri := sqlite_uri(tmp_path / "registered.db"))
        client.create_registered_model("faces")
        for number, (data, figure) in enumerate(versions):
            folder = write_generator(tmp_path / str(number) / "generator", data)
            figures = {} if figure is None else {FIGURE: figure, "IS-classifier": 100.0 * number}
            tags = {RUN_TAG: f"run-{number}", **version_tags(Verdict(figures=figures), Lineage.of_folder(folder))}
            client.create_model_version("faces", folder.parent.as_uri(), tags=tags, await_creation_for=0)
        return uri

    return registered


@pytest.mark.parametrize(
    ("versions", "best"),
    [
        ([("a", 0.40), ("a", 16.44)], "1"),
        ([("b", 0.40), ("a", 16.44), ("a", 17.0)], "2"),
        ([("a", None), ("a", None)], "2"),
        ([("a", 0.40), ("a", None)], "2"),
    ],
)
def test_the_best_that_is_registered_is_the_one_to_beat(
    registered: Callable[..., str], tmp_path: Path, versions: list[tuple[str, float | None]], best: str
) -> None:
    """Of equal data, by the figure that generators are chosen by; the newest where there is none."""
    store = registered(*versions)
    found = find_champion(store, tmp_path, "a retraining")
    champion = with_alias(MlflowChampions(store).versions("faces"))
    assert champion is not None
    assert (found.version, champion.version) == (best, best)
    assert "the best that was registered before the first retraining" in champion.verdict.reason
    assert find_champion(store, tmp_path / "again", "a retraining").version == best


def test_its_own_version_and_what_was_taken_back_are_no_champions(
    registered: Callable[..., str], tmp_path: Path
) -> None:
    store = registered(("a", 0.4), ("a", 0.5))
    registry = MlflowChampions(store)
    first = registry.versions("faces")[-1]
    registry.judge(first, Verdict(decision="rolled back"), first.lineage)
    assert find_champion(store, tmp_path, "run-1").version == ""


RECALL, COVERAGE = "recall-classifier", "coverage-classifier"


@pytest.mark.parametrize(
    ("recalls", "best"), [((0.02, 0.6), "2"), ((0.6, None), "1"), ((0.02, None), ""), ((0.6, 0.6), "1")]
)
def test_of_what_is_registered_only_what_reaches_the_floors_becomes_the_one_to_beat(
    registered: Callable[..., str], tmp_path: Path, recalls: tuple[float | None, ...], best: str
) -> None:
    """The first version has the better distance."""
    store = registered(("a", 0.4), ("a", 0.5))
    registry = MlflowChampions(store)
    for version, recall in zip(reversed(registry.versions("faces")), recalls, strict=True):
        figures = {**version.verdict.figures, RECALL: recall, COVERAGE: 0.9}
        registry.judge(version, Verdict(figures=figures), version.lineage)
    found = find_champion(store, tmp_path, "a retraining", Evaluation())
    champion = with_alias(registry.versions("faces"))
    assert (found.version, champion.version if champion else "") == (best, best)


def test_without_a_champion_what_falls_short_is_kept_and_said(decide, registry: MlflowChampions, store: str) -> None:
    connect(store).delete_registered_model_alias("faces", "champion")
    reason = "short of the recipe's floors (recall-classifier is 0.02, at least 0.1 is asked for)"
    outcome = decide(False, reason=reason, champion="")
    assert (outcome.decision, outcome.champion) == ("kept", "")
    assert outcome.sentence == f"faces stays without a champion; version 2 is {reason}"
    assert with_alias(registry.versions("faces")) is None


def test_by_hand_anything_may_be_the_champion_and_what_it_falls_short_of_is_said(registry: MlflowChampions) -> None:
    new, old = registry.versions("faces")
    registry.judge(new, Verdict(figures={RECALL: 0.02, COVERAGE: 0.9}), new.lineage)
    short = f"short of the recipe's floors ({RECALL} is 0.02, at least 0.1 is asked for)"
    assert registry.promote("faces", "2") == f"version 2 of faces is the champion now, version 1 was; it is {short}"
    champion = with_alias(registry.versions("faces"))
    assert champion is not None
    assert (champion.version, champion.verdict.reason) == ("2", f"by hand, though {short}")
    registry.judge(old, Verdict(figures={RECALL: 0.6, COVERAGE: 0.9}), old.lineage)
    assert registry.promote("faces", "1") == "version 1 of faces is the champion now, version 2 was"


def test_by_hand_figures_that_do_not_compare_are_refused(registry: MlflowChampions) -> None:
    new, old = registry.versions("faces")
    reference = Reference(data="d" * 64, source="faces", split="test", images=500)
    thousand = Protocol(extractor={"name": "classifier"}, reference=reference, samples=1000, parameters={})
    fewer = thousand.model_copy(update={"samples": 100})
    figures = {RECALL: 0.6, COVERAGE: 0.9}
    registry.judge(old, Verdict(decision="promoted", figures=figures, protocol=thousand), old.lineage)
    registry.judge(new, Verdict(figures=figures, protocol=fewer), new.lineage)
    with pytest.raises(RequestError, match=r"do not compare .* samples 100 and 1000; .*--uncompared"):
        registry.promote("faces", "2")
    assert [version.version for version in registry.versions("faces") if "champion" in version.aliases] == ["1"]
    measured = {**figures, "comparison/difference": 0.5}  # by a retraining, on the same data
    registry.judge(new, Verdict(decision="kept", against="1", figures=measured, protocol=fewer), new.lineage)
    assert registry.promote("faces", "2").startswith("version 2 of faces is the champion now")
    registry.roll_back("faces")
    registry.judge(new, Verdict(figures=figures, protocol=fewer), new.lineage)
    registry.promote("faces", "2", uncompared=True)
    champion = with_alias(registry.versions("faces"))
    assert champion is not None
    assert (champion.version, champion.verdict.protocol) == ("2", fewer)


def test_a_figure_that_is_no_number_is_missing_when_it_is_read_again(decide, registry: MlflowChampions) -> None:
    outcome = decide(False, difference=float("nan"))
    assert "comparison/difference" not in outcome.figures
    new, _ = registry.versions("faces")
    assert new.verdict.figures["comparison/difference"] is None
    assert new.verdict.known["comparison/challenger"] == 3.0


def test_no_model_of_that_name_is_no_champion_yet(store: str, tmp_path: Path) -> None:
    context = RunContext(state_dir=str(tmp_path), tracking_uri=store, relay="external")
    with open_stage("find_champion", context) as stage:
        result = find.run(find.Request(model_name="cats", evaluation=ANY_FIGURES, output=tmp_path / "champion"), stage)
    assert result.version == ""


def test_without_tracking_there_is_no_registry(tmp_path: Path) -> None:
    with (
        open_stage("find_champion", RunContext(state_dir=str(tmp_path))) as stage,
        pytest.raises(RequestError, match="needs MLflow"),
    ):
        find.run(find.Request(model_name="faces", evaluation=ANY_FIGURES, output=tmp_path / "champion"), stage)


def test_a_generator_that_never_arrives_is_a_sentence(decide, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(step.WAIT_VARIABLE, "0.1")
    with pytest.raises(RunError, match="has not arrived in the registry as faces"):
        decide(True, run="another")

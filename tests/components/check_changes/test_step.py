"""Whether there is anything to train: by data and recipe, and by what was judged before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from components.artifacts import Champion, Judged, read_outcome
from components.check_changes import step
from components.context import RunContext
from components.stage.stage import open_stage
from components.tracking.champions import Lineage
from gan_models.data.table_file import read_metadata
from gan_models.recipes import load_recipe, model_document, recipe_digest

RECIPE = load_recipe("dcgan", ["data.size=8"])


@pytest.fixture
def check(dataset: Path, tmp_path: Path):
    fingerprint = read_metadata(dataset).fingerprint
    same = {"recipe": "dcgan", "recipe_digest": recipe_digest(RECIPE), "data_fingerprint": fingerprint, "seed": 0}
    context = RunContext(state_dir=str(tmp_path / "state"))

    def check(
        version: str = "4", judged: list[dict[str, Any]] | None = None, force: bool = False, **changed: Any
    ) -> step.Result:
        folder = tmp_path / "champion"
        folder.mkdir(exist_ok=True)
        lineage = Lineage.model_validate(same | changed) if version else None
        others = [Judged.model_validate({**each, "lineage": same | each.get("lineage", {})}) for each in judged or []]
        Champion(model="faces", version=version, lineage=lineage, judged=others).write(folder)
        request = step.Request(dataset=dataset, champion=folder, model=model_document(RECIPE), seed=0, force=force)
        with open_stage("check_changes", context) as stage:
            result = step.run(request, stage)
        outcome = read_outcome(context)
        assert (outcome is None) == result.train
        assert outcome is None or (outcome.decision, outcome.champion) == ("unchanged", version)
        return result

    return check


def test_equal_data_and_recipe_stop_with_a_sentence(check) -> None:
    result = check()
    assert not result.train
    assert "are those of the champion, version 4 of faces" in result.sentence


def test_the_champion_s_own_recipe_counts_whatever_digest_was_written_down(
    check, dataset: Path, tmp_path: Path
) -> None:
    """An upgrade that gives an equal recipe another digest is no reason to train again."""
    generator = tmp_path / "champion" / "generator"
    generator.mkdir(parents=True)
    (generator / "recipe.yaml").write_text(json.dumps(RECIPE.model_dump(mode="json")))
    facts = {"data_fingerprint": read_metadata(dataset).fingerprint, "seed": 0, "step": 10}
    (generator / "generator.json").write_text(json.dumps(facts))
    assert not check(recipe_digest="f" * 16).train


def test_the_first_is_trained_unless_the_same_was_kept_out(check) -> None:
    """It fell short of the recipe's floors: the same training would, every night."""
    first = "faces has no champion yet: training the first"
    assert check(version="").sentence == first
    short = {"version": "1", "decision": "kept", "against": ""}
    other_data = {**short, "lineage": {"data_fingerprint": "f" * 64}}
    result = check(version="", judged=[short])
    assert not result.train
    assert "version 1 of faces is of the same data, recipe and seed and was kept out;" in result.sentence
    assert check(version="", judged=[short], force=True).sentence == first
    assert check(version="", judged=[other_data]).sentence == first


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"data_fingerprint": "f" * 64}, "data changed"),
        ({"recipe_digest": "f" * 16}, "recipe changed"),
        ({"data_fingerprint": "f" * 64, "recipe_digest": "f" * 16}, "data and recipe changed"),
    ],
)
def test_what_changed_is_said(check, changed: dict[str, str], words: str) -> None:
    result = check(**changed)
    assert result.train
    assert result.sentence == f"{words} since the champion, version 4"


def test_force_trains_all_the_same(check) -> None:
    assert check(force=True).train


def test_a_challenger_that_lost_is_not_trained_again_until_the_champion_is_another(check) -> None:
    lost = {"version": "5", "decision": "kept", "against": "4"}
    other_data = {"data_fingerprint": "f" * 64}
    result = check(judged=[lost], **other_data)
    assert not result.train
    assert "version 5 of faces is of the same data, recipe and seed and was kept out" in result.sentence
    assert check(judged=[{**lost, "against": "3"}], **other_data).train
    assert check(judged=[{**lost, "lineage": {"seed": 1}}], **other_data).train


def test_what_was_rolled_back_is_not_trained_again(check) -> None:
    result = check(judged=[{"version": "5", "decision": "rolled back", "against": "3"}], data_fingerprint="f" * 64)
    assert not result.train
    assert "was rolled back" in result.sentence

"""Stages are chained by the names of their inputs and outputs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gan_models.errors import RequestError
from pipeline.definitions import chain
from pipeline.definitions.chain import outputs_type
from pipeline.definitions.stages import STAGES, Stage, result_names, run_titles, stage_of, stages_of, titles_of
from tests.pipeline.definitions import toy_components
from tests.pipeline.definitions.toy_components import trace

PLACE = toy_components.__name__


def test_a_training_and_a_retraining_have_their_stages_in_order() -> None:
    training = ["prepare_data", "train_gan", "select_checkpoint", "evaluate_gan", "export_samples"]
    assert list(stages_of("training")) == training
    assert [name for name in stages_of("retraining") if name in training] == training
    assert list(titles_of("training").values())[1] == "2 train"
    assert titles_of("retraining")["train_gan"] == "train"
    assert (run_titles()["train_gan"], run_titles()["notify"]) == ("2 train", "notify")


def test_each_stage_is_the_component_of_its_name() -> None:
    for name, stage in STAGES.items():
        assert stage.load().name.replace("-", "_") == name
        assert stage_of(stage.load().name) is stage
        assert set(stage.results) <= set(stage.load().component_spec.outputs or {})
        assert set(stage.inputs) <= set(stage.load().component_spec.inputs)
    assert stage_of("somebody-elses") is None


def test_a_result_has_one_name() -> None:
    assert len(set(result_names().values())) == len(result_names()) == 6


@pytest.fixture
def stages(monkeypatch: pytest.MonkeyPatch) -> dict[str, Stage]:
    made = {name: Stage(f"{PLACE}:{name}", name) for name in ("make", "count", "weigh")}
    monkeypatch.setattr(chain, "STAGES", made)
    return made


def test_stages_wait_for_what_they_need(stages: dict[str, Stage]) -> None:
    assert list(trace("weigh", "count", "make")) == ["make", "count", "weigh"]
    assert outputs_type(["make", "count"])._fields == ("things", "number")


def test_an_input_may_be_fed_by_an_output_of_another_name(stages: dict[str, Stage]) -> None:
    stages["count"] = replace(stages["count"], inputs={"things": "number"})
    with pytest.raises(RequestError, match=r"'count' asks for 'number', which is neither a parameter .* seed, things"):
        trace("make", "count")


def test_an_output_has_one_owner(stages: dict[str, Stage]) -> None:
    stages["again"] = Stage(f"{PLACE}:again", "again")
    with pytest.raises(RequestError, match="'again' gives 'things', which there is already"):
        trace("make", "again")


def test_a_result_has_one_owner(stages: dict[str, Stage]) -> None:
    stages["make"] = replace(stages["make"], results={"things": "things"})
    stages["count"] = replace(stages["count"], results={"number": "things"})
    with pytest.raises(RequestError, match="'count' has a result 'things', which there is already"):
        trace("make", "count")


def test_a_stage_is_called_as_its_component(stages: dict[str, Stage]) -> None:
    stages["making"] = stages["make"]
    with pytest.raises(RequestError, match="'making' is a component 'make': give both the same name"):
        trace("making")

"""Champions in a real registry: none at first, promoted, kept out, taken back."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from components.context import RunContext
from components.tracking.champions import CHALLENGER, CHAMPION, Lineage, Verdict, with_alias
from components.tracking.mlflow.champions import MlflowChampions
from components.tracking.mlflow.client import connect
from components.tracking.mlflow.runs import RUN_TAG
from gan_models.errors import RequestError, RunError

LINEAGE = Lineage(recipe="dcgan", recipe_digest="r", data_fingerprint="d", seed=0, step=10)


@pytest.fixture
def registry(tracked: RunContext) -> MlflowChampions:
    client = connect(tracked.tracking_uri)
    client.create_registered_model("faces")
    for run in ("one", "two"):
        client.create_model_version("faces", source=f"file:///nowhere/{run}", tags={RUN_TAG: run}, await_creation_for=0)
    return MlflowChampions(tracked.tracking_uri)


def test_a_model_without_the_alias_has_no_champion(registry: MlflowChampions) -> None:
    assert with_alias(registry.versions("faces")) is None
    assert with_alias(registry.versions("nothing of that name")) is None


def test_a_promoted_version_keeps_what_it_is_and_why(registry: MlflowChampions) -> None:
    version = registry.await_version("faces", "two", 0)
    verdict = Verdict(decision="promoted", reason="the first", at="now", figures={"FD": 3.5})
    for _ in range(2):
        registry.judge(version, verdict, LINEAGE)
    champion = with_alias(registry.versions("faces"))
    assert champion is not None
    assert (champion.version, champion.lineage, champion.verdict) == ("2", LINEAGE, verdict)
    assert champion.aliases == [CHAMPION]
    assert champion.created <= datetime.now(UTC)


def test_a_challenger_that_is_promoted_later_is_one_no_longer(registry: MlflowChampions) -> None:
    newest, oldest = registry.versions("faces")
    registry.judge(oldest, Verdict(decision="promoted"), LINEAGE)
    registry.judge(newest, Verdict(decision="kept", against="1"), LINEAGE)
    assert [version.aliases for version in registry.versions("faces")] == [[CHALLENGER], [CHAMPION]]
    registry.judge(newest, Verdict(decision="promoted", against="1"), LINEAGE)
    assert [version.aliases for version in registry.versions("faces")] == [[CHAMPION], []]


def test_a_version_that_never_arrives_is_a_sentence(registry: MlflowChampions) -> None:
    with pytest.raises(RunError, match="has not arrived in the registry as faces"):
        registry.await_version("faces", "three", 0.1)


def test_misspelt_models_and_versions(registry: MlflowChampions) -> None:
    with pytest.raises(RequestError, match="did you mean 'faces'"):
        registry.require("face")
    with pytest.raises(RequestError, match="unknown version of faces '7'"):
        registry.require("faces", "7")


def test_a_server_that_is_away_is_a_sentence() -> None:
    with pytest.raises(RunError, match="does not answer"):
        MlflowChampions("http://127.0.0.1:9").models()


def test_lineages_are_equal_whatever_step_was_chosen() -> None:
    assert LINEAGE.same_training(LINEAGE.model_copy(update={"step": 20}))
    assert not LINEAGE.same_training(LINEAGE.model_copy(update={"seed": 1}))

"""A retraining of a real cluster, twice: the first champion, and one that is challenged."""

from __future__ import annotations

import json

import pytest

from tests.cluster.cluster import SHORT, Cluster


def test_a_retraining_crowns_and_the_next_one_compares(cluster: Cluster) -> None:
    uri = cluster.settings.connection.tracking_uri
    if not uri:
        pytest.skip("the settings name no tracking_uri: the registry cannot be read")
    model = f"{cluster.tag}-model"

    def retrain(steps: int) -> None:
        sets = [word for setting in (*SHORT, f"training.steps={steps}") for word in ("--set", setting)]
        asked = ("retrain", "--engine", "cluster", "--recipe", "dcgan", "--data", "digits", "--model", model)
        cluster.ask(*asked, "--name", f"{cluster.tag} retrain {steps}", *sets, "--wait")

    def versions() -> list[dict[str, object]]:
        return list(json.loads(cluster.ask("models", "list", "--tracking-uri", uri, "--json"))[model])

    retrain(500)
    (first,) = versions()
    assert "champion" in first["aliases"]
    retrain(1000)
    assert len(versions()) == 2
    assert sum("champion" in each["aliases"] for each in versions()) == 1

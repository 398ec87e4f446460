"""Runs of a real cluster: submitted, reviewed, disturbed in every way that a person or a node can."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cluster.cluster import DISTURBED_AT, LONG_STEPS, Cluster

STAGES = ["prepare data", "train", "select checkpoint", "evaluate", "export"]


@pytest.fixture(scope="module")
def undisturbed(cluster: Cluster) -> dict[str, Any]:
    """A long training that nothing happened to."""
    run = cluster.submit("undisturbed", "--wait", steps=LONG_STEPS)
    assert run["state"] == "SUCCEEDED"
    return run


def test_the_cluster_has_what_a_run_needs(cluster: Cluster) -> None:
    said = cluster.ask("cluster", "check")
    assert f"for {'many users' if cluster.mode == 'multi-user' else 'one user'}" in said
    assert "✗" not in said


def test_a_run_and_its_review(cluster: Cluster) -> None:
    run = cluster.submit("first", "--wait")
    assert run["state"] == "SUCCEEDED"
    assert [stage["title"] for stage in run["stages"]] == [f"{n} {title}" for n, title in enumerate(STAGES, 1)]
    assert run["id"] in cluster.ask("runs", "list")
    shown = cluster.ask("runs", "show", run["name"])
    assert [line.partition(" ")[2].partition(":")[0] for line in shown.splitlines()[1:6]] == [
        stage["title"] for stage in run["stages"]
    ]
    for stage in run["stages"]:
        if stage["state"] != "SKIPPED":
            assert cluster.ask("runs", "logs", run["id"], "--stage", stage["name"], "--raw").strip()
    assert cluster.figures(run["id"])


def test_equal_data_is_prepared_once_for_runs_of_one_name(cluster: Cluster) -> None:
    first = cluster.submit("cached", "--wait")
    again = cluster.ask("runs", "clone", first["id"], "--name", first["name"], "--wait")
    clone = cluster.show(again.strip().rpartition("/")[2])
    assert clone["state"] == "SUCCEEDED"
    assert clone["stages"][0]["state"] == "SKIPPED"
    assert cluster.figures(clone["id"]) == cluster.figures(first["id"])


def test_the_log_of_a_stage_at_work_stop_and_retry(cluster: Cluster, undisturbed: dict[str, Any]) -> None:
    run = cluster.submit("stopped", steps=LONG_STEPS)["id"]
    cluster.training_at(run, DISTURBED_AT)
    assert f"/{LONG_STEPS}" in cluster.ask("runs", "logs", run, "--stage", "train-gan")
    cluster.ask("runs", "stop", run)
    assert cluster.ended(run)["state"] == "CANCELED"
    cluster.until("end of its pods", lambda: not cluster.pods(run, "train-gan"), seconds=60)
    cluster.ask("runs", "retry", run, "--wait")
    said = cluster.ask("runs", "logs", run, "--stage", "train-gan")
    assert "going on from the checkpoint of step" in said
    assert cluster.figures(run) == cluster.figures(undisturbed["id"])


def test_a_preempted_training_goes_on(cluster: Cluster, undisturbed: dict[str, Any]) -> None:
    run = cluster.submit("preempted", steps=LONG_STEPS)["id"]
    pod = cluster.training_at(run, DISTURBED_AT)
    cluster.core.delete_namespaced_pod(pod.metadata.name, cluster.namespace)
    assert cluster.ended(run)["state"] == "SUCCEEDED"
    assert "2 train, 2nd attempt" in cluster.ask("runs", "show", run)
    assert cluster.figures(run) == cluster.figures(undisturbed["id"])


def test_a_killed_process_of_the_training_is_started_again(cluster: Cluster, undisturbed: dict[str, Any]) -> None:
    run = cluster.submit("killed", steps=LONG_STEPS)["id"]
    pod = cluster.training_at(run, DISTURBED_AT)
    cluster.kill(pod, "train_gan[.]rank")
    assert cluster.ended(run)["state"] == "SUCCEEDED"
    assert "attempt" not in cluster.ask("runs", "show", run)
    assert "started again from step-" in cluster.ask("runs", "logs", run, "--stage", "train-gan")
    assert cluster.figures(run) == cluster.figures(undisturbed["id"])

"""Schedules of a real cluster, from the first `ensure` to `delete`, and what Kubernetes holds of them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil

from tests.cluster.cluster import SHORT, Cluster

NEVER = "0 4 29 2 *"  # no time that is due while this runs


def ensure(cluster: Cluster, name: str, cron: str, *words: str) -> str:
    sets = [word for setting in (*SHORT, "training.steps=40") for word in ("--set", setting)]
    what = ("--command", "run", "--recipe", "dcgan", "--data", "digits", *sets)
    return cluster.ask("schedule", "ensure", name, "--engine", "cluster", "--cron", cron, *what, *words)


def show(cluster: Cluster, name: str) -> dict[str, Any]:
    return dict(json.loads(cluster.ask("schedule", "show", name, "--engine", "cluster", "--json")))


def kept(cluster: Cluster) -> set[str]:
    """The names of all that Kubernetes holds."""
    found = cluster.objects.list_namespaced_custom_object(
        "kubeflow.org", "v1beta1", cluster.namespace, "scheduledworkflows"
    )
    return {each["metadata"]["name"] for each in found["items"]}


def test_a_schedule_is_made_changed_and_deleted_and_never_doubled(cluster: Cluster) -> None:
    name, before = f"{cluster.tag}-nightly", kept(cluster)
    assert ": created" in ensure(cluster, name, NEVER)
    assert ": unchanged" in ensure(cluster, name, NEVER)
    first = kept(cluster) - before
    assert len(first) == 1
    assert ": changed" in ensure(cluster, name, NEVER, "--seed", "1")
    second = kept(cluster) - before
    assert len(second) == 1
    assert second != first
    cluster.ask("schedule", "pause", name, "--engine", "cluster")
    assert show(cluster, name)["next_run"] is None
    cluster.ask("schedule", "resume", name, "--engine", "cluster")
    resumed = show(cluster, name)
    assert resumed["next_run"]
    assert not resumed["runs"], "nothing is started by it"
    assert len(kept(cluster) - before) == 1

    started = cluster.ask("schedule", "run-now", name, "--engine", "cluster")
    run = re.search(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", started)
    assert run is not None
    assert "has not ended yet" in cluster.ask("schedule", "run-now", name, "--engine", "cluster", code=2)
    cluster.until("stage", lambda: cluster.show(run[0])["stages"])
    cluster.ask("schedule", "delete", name, "--engine", "cluster")
    cluster.until("end of what Kubernetes holds of it", lambda: kept(cluster) == before, seconds=60)
    assert cluster.ended(run[0])["state"] == "SUCCEEDED", "it was left alone"


def test_a_time_that_is_due_starts_one_run(cluster: Cluster) -> None:
    name = f"{cluster.tag}-minutely"
    ensure(cluster, name, "* * * * *")
    try:
        (run,) = cluster.until("run of the schedule", lambda: show(cluster, name)["runs"])
        cluster.ask("schedule", "pause", name, "--engine", "cluster")
        found = cluster.ended(run["id"])
        assert re.fullmatch(rf"{name} \d\d\d\d-\d\d-\d\d \d\d:\d\d", found["name"])
        assert found["state"] == "SUCCEEDED"
        assert [each["id"] for each in show(cluster, name)["runs"]] == [run["id"]]
        # The minutes missed meanwhile are not made up for.
        cluster.ask("schedule", "resume", name, "--engine", "cluster")
        cluster.ask("schedule", "pause", name, "--engine", "cluster")
        assert [each["id"] for each in show(cluster, name)["runs"]] == [run["id"]]
    finally:
        cluster.ask("schedule", "delete", name, "--engine", "cluster")


def test_a_schedule_that_is_kept_here_is_done_there_once(cluster: Cluster) -> None:
    """The scheduler and its run are killed while the cluster is at work."""
    name = f"{cluster.tag}-here"
    sets = [word for setting in (*SHORT, "training.steps=40") for word in ("--set", setting)]
    what = ("--command", "run", "--recipe", "dcgan", "--data", "digits", *sets)
    cluster.ask("schedule", "ensure", name, "--on-cluster", "--every", "7d", *what)
    cluster.ask("schedule", "run-now", name)

    def serve() -> subprocess.Popen[bytes]:
        program = Path(sys.executable).parent / "gan-pipeline"
        return subprocess.Popen([program, "scheduler"], cwd=cluster.folder, stderr=subprocess.DEVNULL)

    def runs() -> list[dict[str, Any]]:
        found = json.loads(cluster.ask("runs", "list", "--json").splitlines()[-1])
        return [run for run in found if run["name"].startswith(f"{name} ")]

    def kept() -> dict[str, Any]:
        shown = dict(json.loads(cluster.ask("schedule", "show", name, "--json")))
        return dict(shown["runs"][0])

    first = serve()
    cluster.until("run of the schedule", runs)
    first.kill()
    first.wait()
    for process in psutil.process_iter(["cmdline"]):
        words = " ".join(process.info["cmdline"] or [])
        if "pipeline.cli.scheduled" in words and str(cluster.folder) in words:
            process.kill()
    second = serve()
    try:
        cluster.until("end of the run", lambda: kept()["state"] not in ("claimed", "running"))
    finally:
        second.terminate()
        second.wait()
    assert kept()["state"] == "finished"
    (run,) = runs()
    assert run["state"] == "SUCCEEDED"
    cluster.ask("schedule", "delete", name)

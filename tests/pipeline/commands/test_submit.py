"""`gan-pipeline submit` and `runs` over real HTTP, as a user types them."""

from __future__ import annotations

import io
import json
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from pipeline.commands.run_board import RunBoard
from pipeline.definitions.stages import run_titles
from pipeline.engines.cluster.runs import Run, Task
from pipeline.versions import code_version
from tests.pipeline.kfp_server import API, Fault, KfpServer
from tests.pipeline.kubernetes_server import KubernetesServer

IMAGE = "registry.example/gan-pipeline:0.1.0"
DIGEST = f"sha256:{'0123456789abcdef' * 4}"
TINY = ("--data", "digits", "--recipe", "dcgan", "--set", "training.steps=20")


def only_run(server: KfpServer) -> object:
    (run,) = server.runs.values()
    return run


def test_submit_prints_the_link_and_sends_the_request(ask: Callable, server: KfpServer) -> None:
    answer = ask("submit", *TINY, "--image", IMAGE, "--experiment", "digits", "--name", "first")
    assert answer.code == 0, answer.err
    run = only_run(server)
    assert answer.out == f"{server.address}/#/runs/details/{run.run_id}\n"
    assert "dcgan on digits, seed 0" in answer.err
    assert run.display_name == "first"
    assert server.experiments[run.experiment_id].display_name == "digits"
    context = json.loads(run.runtime_config.parameters["run"])
    assert context.pop("titles") == run_titles()
    assert context == {"name": "first", "experiment": "digits", "code_version": code_version()}


def test_a_second_run_joins_the_experiment(ask: Callable, server: KfpServer) -> None:
    for _ in range(2):
        assert ask("submit", *TINY, "--image", IMAGE).code == 0
    assert len(server.experiments) == 1
    assert len(server.runs) == 2


def test_wait_shows_the_stages_and_ends_well(ask: Callable, server: KfpServer) -> None:
    answer = ask("submit", *TINY, "--image", IMAGE, "--wait")
    assert answer.code == 0, answer.err
    lines = [line for line in answer.err.splitlines() if line[0] in "▸✓"]
    titles = ["1 prepare data", "2 train", "3 select checkpoint", "4 evaluate", "5 export"]
    assert [line[2:].partition(":")[0] for line in lines] == [title for title in titles for _ in range(2)]
    assert answer.err.splitlines()[-1].endswith(": succeeded")


def test_wait_ends_as_badly_as_the_run(ask: Callable, server: KfpServer, kubernetes: KubernetesServer) -> None:
    server.fails_at = "train-gan"
    answer = ask("submit", *TINY, "--image", IMAGE, "--wait", "--json")
    assert answer.code == 1
    assert "✗ 2 train (failed): 0:01" in answer.err.splitlines()
    report = json.loads(answer.out)
    assert (report["state"], report["error"]) == ("FAILED", "main: Error (exit code 1)"), "Kubernetes' words"
    assert {stage["name"]: stage["state"] for stage in report["stages"]} == {
        "prepare-data": "SUCCEEDED",
        "train-gan": "FAILED",
    }


def test_stages_are_in_their_order_and_nothing_of_argo_is_shown(ask: Callable, server: KfpServer) -> None:
    """The server gives some thirty nodes, in no order."""
    ask("submit", *TINY, "--image", IMAGE, "--name", "night")
    run = only_run(server)
    for _ in range(3):
        shown = ask("runs", "show", "night").out.splitlines()
    assert len(run.run_details.task_details) > 15
    assert shown[0] == "night: running"
    assert shown[1:-1] == [
        *("✓ 1 prepare data: 0:01", "▸ 2 train"),
        *("· 3 select checkpoint (pending)", "· 4 evaluate (pending)", "· 5 export (pending)"),
    ]


def test_what_the_cache_has_done_is_told_as_that(ask: Callable, server: KfpServer) -> None:
    server.cached = ("prepare-data",)
    run = ask("submit", *TINY, "--image", IMAGE, "--name", "night", "--wait")
    assert "↷ 1 prepare data (skipped)" in run.err
    assert "✓ 2 train: " in run.err
    logs = ask("runs", "logs", "night", "--stage", "prepare-data")
    assert (logs.code, "1 prepare data of night was taken from the cache" in logs.sentence) == (2, True)


def test_attempts_are_counted(ask: Callable, server: KfpServer) -> None:
    ask("submit", *TINY, "--image", IMAGE, "--name", "night")
    workflow = server.workflow(only_run(server))
    for _ in range(3):
        workflow.move_on(server.now)
    for _ in range(2):
        workflow.lose_pod(server.now)
    assert "2 train, 3rd attempt" in ask("runs", "show", "night").out


def test_a_run_whose_work_is_gone_is_told_as_that(ask: Callable, server: KfpServer) -> None:
    ask("submit", *TINY, "--image", IMAGE, "--name", "night")
    ask("runs", "show", "night")
    server.workflows.clear()
    stopped = ask("runs", "stop", "night")
    assert (stopped.code, "reads running and will for ever" in stopped.sentence) == (2, True)
    assert f"`gan-pipeline runs archive {only_run(server).run_id}` takes it out of the way" in stopped.sentence


def test_the_log_of_a_stage_at_work(ask: Callable, server: KfpServer) -> None:
    """A server for one user cannot give it, and says so with a 200."""
    ask("submit", *TINY, "--image", IMAGE, "--name", "night")
    answer = ask("runs", "logs", "night", "--stage", "prepare-data")
    assert (answer.code, answer.out) == (1, "")
    assert "the server cannot give the log of 1 prepare data (error getting logs of pod" in answer.sentence
    assert "kubectl logs --follow" in answer.sentence
    waiting = ask("runs", "logs", "night", "--stage", "export-samples")
    assert (waiting.code, "5 export of night has not started" in waiting.sentence) == (2, True)


QUOTA = "exceeded quota: team, requested: requests.cpu=1, used: requests.cpu=8, limited: requests.cpu=8"


def test_a_pod_that_is_refused_is_told_in_kubernetes_words(
    ask: Callable, server: KfpServer, kubernetes: KubernetesServer
) -> None:
    """The server's run has no error then, nor have its stages."""
    server.fails_at, server.refusal = "train-gan", QUOTA
    answer = ask("submit", *TINY, "--image", IMAGE, "--name", "night", "--wait")
    run = only_run(server)
    assert (run.error, {each.error for each in run.run_details.task_details}) == (None, {None})
    pod = server.workflow(run).pod("train-gan", 0)
    ending = f'night: failed: pods "{pod}" is forbidden: {QUOTA}'
    assert (answer.code, ending in answer.err.splitlines()) == (1, True), answer.err
    assert ask("runs", "show", "night").out.splitlines()[0] == ending
    assert json.loads(ask("runs", "show", "night", "--json").out)["error"] in ending


def test_what_kubeflow_could_not_start_is_named(ask: Callable, server: KfpServer, kubernetes: KubernetesServer) -> None:
    server.fails_at = "train-gan"
    ask("submit", *TINY, "--image", IMAGE, "--name", "night", "--wait")
    server.workflow(only_run(server)).driver_fails = "select-checkpoint"
    shown = ask("runs", "show", "night").out
    assert shown.startswith("night: failed: Kubeflow could not start select-checkpoint: main: Error (exit code 1)\n")


def test_a_pod_that_is_refused_where_kubernetes_cannot_be_asked(ask: Callable, server: KfpServer) -> None:
    server.fails_at, server.refusal = "train-gan", QUOTA
    answer = ask("submit", *TINY, "--image", IMAGE, "--name", "night", "--wait")
    run = only_run(server).run_id
    assert f"kubectl get workflows --namespace kubeflow --selector pipeline/runid={run}" in answer.err
    assert "needs access to the Kubernetes API" in answer.err


def test_on_a_terminal_the_stages_are_a_table(
    ask: Callable, server: KfpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"FORCE_COLOR": "1", "TERM": "xterm", "COLUMNS": "100"}.items():
        monkeypatch.setenv(name, value)
    server.fails_at = "select-checkpoint"
    server.faults.append(Fault("GET", r"/runs/.", "500"))
    answer = ask("submit", *TINY, "--image", IMAGE, "--name", "night", "--wait")
    assert answer.code == 1
    assert "\x1b[1A" in answer.err, "it is drawn over"
    assert "the server answers again" in answer.err
    last = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "\n", answer.err).split("1 prepare data")[-1]
    drawn = [" ".join(line.split()) for line in last.splitlines() if line.strip()]
    text = " ".join(drawn)
    assert text.startswith("succeeded 1.0 s"), text
    assert "2 train succeeded 1.0 s" in text
    assert "3 select checkpoint failed 1.0 s" in text
    assert "4 evaluate" not in text, "it has not begun"
    assert "night: failed: the server does not say why" in text


def test_the_board_counts_attempts_and_the_time_so_far() -> None:
    task = Task(name="train-gan", title="2 train", state="RUNNING", pods=("a", "b"))
    began = datetime.now(UTC) - timedelta(minutes=2)
    screen = Console(file=io.StringIO(), width=80)
    board = RunBoard(screen.file)
    for each in (task, task.model_copy(update={"started": began})):
        board.show(Run(id="1", name="night", state="RUNNING", tasks=(each,)))
        screen.print(board._table())
    lines = [" ".join(line.split()) for line in screen.file.getvalue().splitlines()]
    assert lines == ["▸ 2 train running 2nd attempt", "▸ 2 train, 2nd attempt", "▸ 2 train running 2nd attempt 2:00"]


PODS = "/api/v1/namespaces/kubeflow/pods"


def test_the_log_of_a_stage_at_work_is_had_from_kubernetes(
    ask: Callable, server: KfpServer, kubernetes: KubernetesServer
) -> None:
    ask("submit", *TINY, "--image", IMAGE, "--name", "night")
    answer = ask("runs", "logs", "night", "--stage", "prepare-data")
    assert (answer.code, answer.out) == (0, "prepare-data: at work\n"), answer.err
    raw = ask("runs", "logs", "night", "--stage", "prepare-data", "--raw").out
    assert raw.startswith("time=2026-11-29T23:40:44.360Z level=INFO")
    assert "Got executor_input" in raw
    assert kubernetes.changed == []


def test_the_log_is_followed_from_pod_to_archive(
    ask: Callable, server: KfpServer, kubernetes: KubernetesServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At work it is Kubernetes' that gives it, at the end the server: nothing is shown twice."""
    ask("submit", *TINY, "--image", IMAGE, "--name", "night")
    asked = []
    look = kubernetes.look
    monkeypatch.setattr(kubernetes, "look", lambda *what: asked.append(what[0]) or look(*what))
    answer = ask("runs", "logs", "night", "--stage", "train-gan", "--follow")
    assert (answer.code, answer.out) == (0, "train-gan: at work\n\ufffd"), answer.err
    assert [path.endswith("/log") for path in asked] == [False, True]


def test_the_log_of_another_attempt_is_followed_from_its_beginning(
    ask: Callable, server: KfpServer, kubernetes: KubernetesServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask("submit", *TINY, "--image", IMAGE, "--name", "night")
    workflow, look = server.workflow(only_run(server)), kubernetes.look

    def lose_after_its_log(path: str, query: dict[str, str]) -> tuple[int, object]:
        answer = look(path, query)
        if path.endswith("/log") and len(workflow.pods["train-gan"]) == 1:
            workflow.lose_pod(server.now)
        return answer

    monkeypatch.setattr(kubernetes, "look", lose_after_its_log)
    answer = ask("runs", "logs", "night", "--stage", "train-gan", "--follow")
    assert answer.out == "train-gan: at work\n" * 2 + "\ufffd", answer.err


def test_the_log_of_a_pod_that_is_still_there(ask: Callable, server: KfpServer, kubernetes: KubernetesServer) -> None:
    """The server keeps no logs; another attempt's pod is not taken for it, nor a driver's."""
    ask("submit", *TINY, "--image", IMAGE, "--name", "night")
    workflow = server.workflow(only_run(server))
    for _ in range(3):
        workflow.move_on(server.now)
    workflow.lose_pod(server.now)
    server.keeps_logs = False
    assert ask("runs", "logs", "night", "--stage", "train-gan", "--attempt", 2).out == "train-gan: at work\n"
    kubernetes.gone.add(workflow.pod("train-gan", 0))
    answer = ask("runs", "logs", "night", "--stage", "train-gan", "--attempt", 1)
    assert (answer.code, "no such pod in the namespace kubeflow" in answer.sentence) == (1, True)


@pytest.mark.parametrize(
    ("mishap", "words"),
    [
        (403, "the Kubernetes API does not let you look (403)"),
        (500, "the Kubernetes API says 500: refused"),
        ("hang", "the Kubernetes API does not answer: ReadTimeoutError"),
        ("waiting", 'says 400: container "main" in pod "'),
        ("gone", "the Kubernetes API has no such pod in the namespace kubeflow"),
    ],
)
def test_a_log_that_kubernetes_does_not_give(
    ask: Callable,
    server: KfpServer,
    kubernetes: KubernetesServer,
    monkeypatch: pytest.MonkeyPatch,
    mishap: int | str,
    words: str,
) -> None:
    monkeypatch.setattr("pipeline.engines.cluster.kubernetes_api.SECONDS", 0.3 if mishap == "hang" else 15)
    ask("submit", *TINY, "--image", IMAGE, "--name", "night", "--pvc", "state")
    ask("runs", "show", "night")
    pod = server.workflow(only_run(server)).pod("prepare-data", 0)
    kubernetes.waiting = {pod: "ContainerCreating"} if mishap == "waiting" else {}
    kubernetes.gone = {pod} if mishap == "gone" else set()
    kubernetes.kept = {PODS: mishap} if mishap in (403, 500, "hang") else {}
    only_run(server).state = "CANCELING"  # which has it ended, its log kept, when somebody looks
    server.logs[pod] = json.dumps({"error_message": "not kept"}).encode()
    answer = ask("runs", "logs", "night", "--stage", "prepare-data")
    assert (answer.code, words in answer.sentence) == (1, True), answer.sentence
    assert f"kubectl logs {pod} --namespace kubeflow --container main" in answer.sentence
    assert "the volume keeps /state/runs/night/logs" in answer.sentence


def test_waiting_outlives_a_server_that_is_away(ask: Callable, server: KfpServer) -> None:
    server.faults += [Fault("GET", r"/runs/.", "500"), Fault("GET", r"/runs/.", "drop")]
    answer = ask("submit", *TINY, "--image", IMAGE, "--wait")
    assert answer.code == 0, answer.err
    assert "the run goes on, and so does the waiting" in answer.err
    assert "the server answers again" in answer.err


def test_ctrl_c_ends_the_waiting_and_not_the_run(
    ask: Callable, server: KfpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pipeline.engines.cluster.runs.time.sleep", interrupt)
    answer = ask("submit", *TINY, "--image", IMAGE, "--wait")
    assert (answer.code, "the run goes on" in answer.err) == (3, True)
    assert only_run(server).state == "RUNNING"


def test_list_show_logs_stop_retry(ask: Callable, server: KfpServer, kubernetes: KubernetesServer) -> None:
    server.fails_at = "train-gan"
    assert ask("submit", *TINY, "--image", IMAGE, "--name", "night", "--wait").code == 1
    run = only_run(server)
    assert ask("runs", "list").out.split()[:3] == [run.run_id, "night", "failed"]
    shown = ask("runs", "show", "night").out
    assert shown.startswith("night: failed: main: Error (exit code 1)\n✓ 1 prepare data: 0:01\n✗ 2 train")
    assert shown.endswith(f"/#/runs/details/{run.run_id}\n")
    assert ask("runs", "logs", "night").out.startswith("train-gan: at work\n")
    assert ask("runs", "logs", run.run_id, "--stage", "prepare_data").out.startswith("prepare-data: at work\n")
    stopped = ask("runs", "stop", "night")
    assert (stopped.code, "has ended already (failed)" in stopped.sentence) == (2, True)
    again = ask("runs", "retry", "night", "--wait")
    assert again.code == 0, again.err
    assert "only one that failed can be retried" in ask("runs", "retry", "night").sentence


def test_clone_archive_delete(ask: Callable, server: KfpServer) -> None:
    ask("submit", *TINY, "--image", IMAGE, "--pvc", "state", "--name", "night", "--wait")
    first = only_run(server)
    assert ask("runs", "clone", "night", "--wait").code == 0
    second = next(run for run in server.runs.values() if run is not first)
    assert second.display_name == "night-again"
    assert second.pipeline_spec == first.pipeline_spec
    was, now = (dict(run.runtime_config.parameters) for run in (first, second))
    was, now = ({**each, "run": json.loads(each["run"])} for each in (was, now))
    assert now.pop("run") == {**was.pop("run"), "name": "night-again", "state_dir": "/state/runs/night-again"}
    assert was == now
    assert ask("runs", "archive", "night").code == 0
    assert [line.split()[1] for line in ask("runs", "list").out.splitlines()] == ["night-again"]
    assert ask("runs", "delete", "night-again").code == 0
    assert list(server.runs) == [first.run_id]
    ask("submit", *TINY, "--image", IMAGE, "--name", "at-work")
    refused = ask("runs", "delete", "at-work")
    assert (refused.code, "stop it first" in refused.sentence, len(server.runs)) == (2, True, 2)


def test_a_retraining_is_submitted_once(ask: Callable, server: KfpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAN_PIPELINE_CLUSTER_IMAGE", IMAGE)
    answer = ask("retrain", *TINY, "--engine", "cluster", "--model", "faces", "--force", "--wait")
    assert answer.code == 0, answer.err
    run = only_run(server)
    assert answer.out == f"{server.address}/#/runs/details/{run.run_id}\n"
    parameters = run.runtime_config.parameters
    assert (parameters["model_name"], parameters["force"]) == ("faces", True)
    assert "comp-find-champion" in run.pipeline_spec["pipeline_spec"]["components"]
    shown = [line[2:].partition(":")[0] for line in ask("runs", "show", run.run_id).out.splitlines()[1:-1]]
    assert shown == ["prepare data", "find champion", "check for changes", "notify"], "nothing of what is around them"
    for stage in ("check-changes", "notify"):
        assert ask("runs", "logs", run.run_id, "--stage", stage).out == f"{stage}: at work\n\ufffd\n"
    assert "--workdir" in ask("retrain", *TINY, "--engine", "cluster", "--workdir", "here").sentence
    assert "retrainings are done by" in ask("retrain", *TINY, "--engine", "docker").sentence


def test_a_retraining_takes_what_is_of_a_cluster(ask: Callable, server: KfpServer) -> None:
    uri = "http://mlflow:5000"
    words = ("--image", IMAGE, "--gpus", "1", "--experiment", "faces", "--tracking-uri", uri)
    answer = ask("retrain", *TINY, "--engine", "cluster", "--model", "faces", *words)
    assert answer.code == 0, answer.err
    run = only_run(server)
    spec = json.dumps(run.pipeline_spec)
    assert IMAGE in spec
    assert "nvidia.com/gpu" in spec
    assert json.loads(run.runtime_config.parameters["run"])["tracking_uri"] == uri
    assert server.experiments[run.experiment_id].display_name == "faces"


def test_looking_asks_for_nothing_that_only_pods_need(
    ask: Callable, server: KfpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask("submit", *TINY, "--image", IMAGE, "--name", "night")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    assert ask("runs", "list").code == 0
    assert ask("runs", "show", "night").code == 0
    assert "pods cannot reach it" in ask("submit", *TINY, "--image", IMAGE).sentence


def test_logs_of_every_attempt_and_as_they_come(ask: Callable, server: KfpServer) -> None:
    ask("submit", *TINY, "--image", IMAGE, "--name", "night")
    workflow = server.workflow(only_run(server))
    for _ in range(3):
        workflow.move_on(server.now)
    workflow.lose_pod(server.now)
    followed = ask("runs", "logs", "night", "--stage", "train-gan", "--follow")
    assert (followed.code, followed.out.startswith("train-gan: at work")) == (0, True)
    server.logs[workflow.pod("train-gan", 0)] = b"the first\n"
    assert ask("runs", "logs", "night", "--stage", "train-gan", "--attempt", 1).out == "the first\n"
    refused = ask("runs", "logs", "night", "--stage", "train-gan", "--attempt", 3)
    assert (refused.code, "--attempt 3: 2 train of night has 2" in refused.sentence) == (2, True)
    ask("runs", "show", "night")
    server.runs[only_run(server).run_id].state = "FAILED"
    server.logs.clear()
    assert ask("runs", "logs", "night", "--stage", "train-gan", "--follow").code == 1


def test_stop_and_continue(ask: Callable, server: KfpServer) -> None:
    ask("submit", *TINY, "--image", IMAGE, "--name", "night")
    assert ask("runs", "stop", "night").code == 0
    assert only_run(server).state == "CANCELING"
    assert ask("runs", "show", "night").out.startswith("night: canceled\n✗ 1 prepare data (canceled)")
    assert only_run(server).state == "FAILED", "as a server of 2.17 calls it"
    assert ask("runs", "retry", "night", "--wait").code == 0


def test_the_latest_of_equal_names_is_meant_and_lists_have_pages(ask: Callable, server: KfpServer) -> None:
    server.page_limit = 2
    for number in range(5):
        assert ask("submit", *TINY, "--image", IMAGE, "--name", "same", "--seed", number).code == 0
    listed = json.loads(ask("runs", "list", "--json").out)
    assert [run["id"] for run in listed] == list(reversed(server.runs))
    assert len(ask("runs", "list", "-n", 3).out.splitlines()) == 3
    assert json.loads(ask("runs", "show", "same", "--json").out)["id"] == listed[0]["id"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["runs", "show", "nigth"], "unknown run 'nigth': did you mean 'night'?"),
        (["runs", "show", "0" * 8 + "-0000-0000-0000-" + "0" * 12], "(404) has nothing there to show the run"),
        (["runs", "logs", "night", "--stage", "trian"], "did you mean 'train-gan'?"),
    ],
)
def test_what_is_not_there(ask: Callable, server: KfpServer, arguments: list[str], words: str) -> None:
    ask("submit", *TINY, "--image", IMAGE, "--name", "night", "--wait")
    answer = ask(*arguments)
    assert answer.code == 2
    assert words in answer.sentence


def test_no_run_anywhere_and_no_log_yet(ask: Callable, server: KfpServer) -> None:
    assert "there is no run 'night', nor any other" in ask("runs", "show", "night").sentence
    ask("submit", *TINY, "--image", IMAGE, "--name", "night")
    run = only_run(server)
    server.workflows.clear()
    for stage in ((), ("--stage", "trian")):
        assert "no stage of night has begun yet" in ask("runs", "logs", "night", *stage).sentence
    assert run.state == "PENDING"


def test_a_log_that_is_gone(ask: Callable, server: KfpServer) -> None:
    ask("submit", *TINY, "--image", IMAGE, "--name", "night", "--wait")
    server.logs.clear()
    answer = ask("runs", "logs", "night")
    assert (answer.code, "pods are removed after a while" in answer.sentence) == (1, True)


# -- what is refused before anything is sent ---------------------------------------------------------------------------

REFUSED = {
    "recipe": (["--recipe", "dcgam"], "did you mean 'dcgan'?"),
    "override": (["--set", "training.step=5"], "did you mean 'steps'?"),
    "size": (["--recipe", "dcgan", "--set", "data.size=9"], "the nearest sizes it can make"),
    "no image": (["--image", ""], "there is no image"),
    "a tag that moves": (["--image", "gan-pipeline:latest"], "may be another image tomorrow"),
    "no tag": (["--image", "registry.example:5000/gan-pipeline"], "may be another image tomorrow"),
    "an image that is none": (["--image", "Gan Pipeline"], "--image 'Gan Pipeline' is no image"),
    "digest": (["--image-digest", "sha256:12"], "is no image"),
    "namespace": (["--namespace", "My_Team"], "--namespace 'My_Team' is no name for Kubernetes"),
    "pvc": (["--pvc", "My Claim"], "--pvc 'My Claim' is no name for Kubernetes"),
    "secret": (["--secret", "mlflow:user="], "expected name, or name:key=VARIABLE"),
    "gpus": (["--gpus", "65"], "--gpus 65"),
    "nodes without a volume": (["--nodes", "2", "--gpus", "1"], "nodes 2: they meet on a volume"),
    "nodes without GPUs": (["--nodes", "2", "--pvc", "state"], "nodes 2: say with gpus how many GPUs"),
    "nodes and a recipe for one process": (
        ["--nodes", "2", "--gpus", "4", "--pvc", "state", "--set", "training.ranks=2"],
        "training.ranks=2: 2 nodes of 4 GPUs are 8 processes",
    ),
    "accelerator": (["--accelerator", "a100"], "'a100' is no resource"),
    "selector": (["--node-selector", "gpu"], "expected label=value"),
    "toleration": (["--toleration", "gpu:Never"], "there is no effect 'Never', only NoSchedule"),
    "tracking on this machine": (["--tracking-uri", "sqlite:///mlflow.db"], "pods cannot reach it"),
    "localhost": (["--tracking-uri", "http://localhost:5000"], "pods cannot reach it"),
    "a login in an address": (["--tracking-uri", "http://ann:s3cret@mlflow"], "put it into a Kubernetes secret"),
    "images of this machine": (["--data", "folder:/images", "--recipe", "dcgan"], "cannot see it: copy it to a volume"),
    "not on the volume": (
        ["--data", "folder:/images", "--recipe", "dcgan", "--pvc", "state"],
        "name it by its path there, below /state",
    ),
    "weights of this machine": (
        ["--set", "evaluation.extractor=inception-2015", "--set", "evaluation.inception_weights=/w.pth"],
        "evaluation.inception_weights, /w.pth, lies on this machine",
    ),
    "unseen labels": (["--data", "folder:/state/images", "--pvc", "state"], "name a --recipe"),
    "name": (["--name", "…"], "--name"),
    "host": (["--host", "ftp://kubeflow"], "expected an address such as"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_wrong_requests_are_never_sent(ask: Callable, server: KfpServer, case: str) -> None:
    arguments, words = REFUSED[case]
    answer = ask("submit", *([] if "--image" in arguments else ["--image", IMAGE]), *arguments)
    assert answer.code == 2, answer.err
    assert words in answer.sentence
    assert "s3cret" not in answer.sentence
    assert server.requests == []


def test_images_on_the_volume_are_taken_on_trust_and_never_from_the_cache(ask: Callable, server: KfpServer) -> None:
    answer = ask("submit", "--data", "folder:/state/cats", "--recipe", "dcgan", "--image", IMAGE, "--pvc", "state")
    assert answer.code == 0, answer.err
    run = only_run(server)
    spec = run.pipeline_spec["pipeline_spec"]
    assert json.loads(run.runtime_config.parameters["data"])["source"] == "folder:/state/cats"
    assert not spec["root"]["dag"]["tasks"]["prepare-data"].get("cachingOptions", {}).get("enableCache")


def test_a_compiled_file_brings_its_settings(ask: Callable, server: KfpServer) -> None:
    assert ask("compile", "-o", "t.yaml", *TINY, "--seed", 3).code == 0
    assert ask("submit", "--pipeline", "t.yaml", "--image", IMAGE).code == 0
    assert only_run(server).runtime_config.parameters["seed"] == 3
    assert "leave out --recipe" in ask("submit", "--pipeline", "t.yaml", "--seed", 3, "--image", IMAGE).sentence


# -- what the server, or the way to it, refuses ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        ("400", 2, "(400) refuses to submit the run: InternalServerError: 400"),
        ("401", 2, "(401) asks for a login to submit the run: name a token_file"),
        ("403", 2, "(403) does not let you submit the run in the namespace 'kubeflow'"),
        ("404", 2, "(404) has nothing there to submit the run"),
        ("409", 2, "(409) has one of that name already"),
        ("500", 1, "(500) failed to submit the run: InternalServerError: 500; try again"),
        ("503", 1, "(503) failed to submit the run"),
        ("drop", 1, "did not answer within"),
        ("done", 1, "look whether it was done before you ask again"),
        ("html", 2, "answers, but not as Kubeflow Pipelines does"),
    ],
)
def test_each_failure_is_one_sentence_and_nothing_is_sent_twice(
    ask: Callable, server: KfpServer, fault: str, code: int, words: str
) -> None:
    server.faults.append(Fault("POST", r"/runs$", fault))
    answer = ask("submit", *TINY, "--image", IMAGE)
    assert answer.code == code, answer.err
    assert words in answer.sentence
    assert "stack" not in answer.sentence
    assert server.sent("POST").count(f"{API}/runs") == 1
    assert len(server.runs) == (fault == "done")


def test_a_server_that_hangs(ask: Callable, server: KfpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.engines.cluster.client.ANSWER_SECONDS", 0.2)
    server.faults.append(Fault("POST", r"/runs$", "hang"))
    answer = ask("submit", *TINY, "--image", IMAGE)
    assert (answer.code, "did not answer within 0.2 s" in answer.sentence) == (1, True)


def test_looking_is_repeated_and_doing_is_not(ask: Callable, server: KfpServer) -> None:
    server.faults += [Fault("GET", r"/experiments$", "503"), Fault("GET", r"/experiments$", "502")]
    assert ask("submit", *TINY, "--image", IMAGE).code == 0
    assert server.sent("GET").count(f"{API}/experiments") == 3


def test_nobody_there(ask: Callable, server: KfpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    answer = ask("submit", *TINY, "--image", IMAGE, "--host", f"http://127.0.0.1:{port}")
    assert (answer.code, "nothing answers at http://127.0.0.1" in answer.sentence) == (1, True)
    answer = ask("runs", "list", "--host", "http://no-such-host.invalid")
    assert (answer.code, "there is no host http://no-such-host.invalid" in answer.sentence) == (2, True)
    answer = ask("runs", "list", "--host", server.address.replace("http:", "https:"))
    assert (answer.code, "no safe connection" in answer.sentence) == (2, True)
    monkeypatch.delenv("KF_PIPELINES_ENDPOINT")
    answer = ask("runs", "list")
    assert (answer.code, "there is no cluster to talk to: give --host" in answer.sentence) == (2, True)


def test_a_token_is_read_from_a_file_each_time(
    ask: Callable, server: KfpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.token = "s3cret"
    answer = ask("runs", "list")
    assert (answer.code, "(401) asks for a login" in answer.sentence) == (2, True)
    (tmp_path / "token").write_text("s3cret\n")
    monkeypatch.setenv("GAN_PIPELINE_CLUSTER_TOKEN_FILE", str(tmp_path / "token"))
    assert ask("submit", *TINY, "--image", IMAGE, "--name", "night", "--wait").code == 0
    assert ask("runs", "logs", "night").code == 0
    (tmp_path / "token").write_text("old")
    answer = ask("runs", "list")
    assert (answer.code, "s3cret" in answer.err) == (2, False)
    monkeypatch.setenv("GAN_PIPELINE_CLUSTER_TOKEN_FILE", "nowhere")
    assert "there is no file nowhere" in ask("runs", "list").sentence


def test_a_namespace_of_others(ask: Callable, server: KfpServer) -> None:
    server.namespaces = {"ours"}
    assert ask("submit", *TINY, "--image", IMAGE, "--namespace", "ours").code == 0
    assert "in the namespace 'theirs'" in ask("runs", "list", "--namespace", "theirs", "--all").sentence


@pytest.mark.slow
def test_as_a_process(server: KfpServer, tmp_path: Path) -> None:
    program = [sys.executable, "-c", "from pipeline.cli import main; main()"]
    (tmp_path / "gan-pipeline.toml").write_text(f'[cluster]\nhost = "{server.address}"\nimage = "{IMAGE}"\n')
    done = subprocess.run([*program, "submit", *TINY], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{server.address}/#/runs/details/{only_run(server).run_id}\n"

"""A training on several nodes: the TrainJob that is made, and how it is followed, against a Kubernetes in memory."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from kubeflow_trainer_api.models import TrainerV1alpha1TrainJob
from pydantic import ValidationError

from components.artifacts import Training
from components.lease import Fence, Lease, LeaseLostError
from components.stage.stage import Interrupted, RunContext, open_stage
from components.train_gan import step, supervisor, train_job
from components.train_gan.rank import Job
from components.train_gan.supervisor import keep_training
from components.train_gan.train_job import Nodes, TrainJobs, job_name, manifest, train_on_nodes
from gan_models.atomic import guarded
from gan_models.errors import LostError, RequestError, RunError
from gan_models.recipes import load_recipe, model_document
from gan_models.training.loop import Stopped
from tests.components.train_gan.trainjob_server import NAMESPACE, TrainJobServer

NODES = Nodes(
    count=2,
    gpus=4,
    accelerator="nvidia.com/gpu",
    cpu="8",
    memory="32Gi",
    image="registry.example/gan-pipeline-gpu:1",
    pvc="gan-state",
    mount="/state",
    shm="2Gi",
    node_selector={"gpu": "a100"},
    tolerations=[{"key": "spot", "operator": "Equal", "value": "yes", "effect": "NoSchedule"}],
    pull_secrets=["registry-login"],
    labels={"team": "vision"},
    variables={"CACHE": "/state/cache"},
)
QUICK = {"POLL_SECONDS": 0.02, "LOOK_SECONDS": 0.05, "REFUSED_SECONDS": 0.3}
OUTCOME = {"steps": 20, "seconds": 1.5, "collapsed": False, "unhealthy_steps": [3], "last_metrics": {"G/loss": 0.5}}

NODE = f"""
import signal, sys, time
from pathlib import Path
from components.stage.progress import EventLog
from components.train_gan.rank import Job

asked, said, does = sys.argv[-3:]
job, log = Job.model_validate_json(Path(asked).read_text()), EventLog(Path(said), "train_gan")
assert (job.dataset / "images").is_file(), "what the launcher alone can see"

def stop(*_):
    log.write("stopped", step=7)
    sys.exit(0)

signal.signal(signal.SIGTERM, stop)
log.write("progress", step=5, figures={{"images/s": 10.0}})
log.write("tick", step=5, metrics={{"G/loss": 0.7}}, grid="grid.png")
if does == "wait":
    log.write("note", text="at work")
    time.sleep(60)
if does == "stop":
    stop()
if does == "lose":
    log.write("error", sentence="a training process lost another one", exit_code=1, lost=True)
if does == "refuse":
    log.write("error", sentence="training.lr=9: too much", exit_code=2)
if does == "succeed":
    log.write("outcome", outcome={OUTCOME!r})
sys.exit(does in ("die", "lose", "refuse"))
"""


class Told:
    """A reporter that keeps what it hears, and asks for a stop when it hears `stop_at`."""

    def __init__(self, stop_at: str = "never") -> None:
        self.steps: list[int] = []
        self.ticks: list[tuple[int, dict[str, float], str]] = []
        self.notes: list[str] = []
        self.heard = threading.Event()
        self._stop_at = stop_at

    def progress(self, step: int, figures: Mapping[str, float]) -> None:
        self.steps.append(step)

    def tick(self, step: int, metrics: Mapping[str, float], grid: Path) -> None:
        self.ticks.append((step, dict(metrics), str(grid)))

    def note(self, sentence: str) -> None:
        self.notes.append(sentence)
        if sentence == "at work":
            self.heard.set()

    def stop_requested(self) -> bool:
        return any(self._stop_at in note for note in self.notes)


class Doing:
    """Starts the process that stands for all nodes; what it does is said anew for each."""

    def __init__(self) -> None:
        self.plan: list[str] = ["succeed"]

    def __call__(self, made: dict[str, Any]) -> list[subprocess.Popen[bytes]]:
        does = self.plan.pop(0) if len(self.plan) > 1 else self.plan[0]
        arguments = [*made["spec"]["trainer"]["command"][-2:], does]
        return [subprocess.Popen([sys.executable, "-c", NODE, *arguments])]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in {**QUICK, "WORD_SECONDS": 0.3}.items():
        monkeypatch.setattr(train_job, name, seconds)


@pytest.fixture
def doing() -> Doing:
    return Doing()


@pytest.fixture
def server(doing: Doing) -> Iterator[TrainJobServer]:
    with TrainJobServer(doing) as server:
        yield server


@pytest.fixture
def job(tmp_path: Path) -> Job:
    (tmp_path / "artifacts").mkdir()
    (tmp_path / "artifacts" / "images").write_bytes(b"pixels")
    (tmp_path / "state").mkdir()
    return Job(recipe={}, dataset=tmp_path / "artifacts", folder=tmp_path / "state", seed=0)


# -- the manifest ------------------------------------------------------------------------------------------------------


def test_the_manifest_is_a_train_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(train_job.POD_NAME_VARIABLE, "night-train-gan-1")
    monkeypatch.setenv(train_job.POD_UID_VARIABLE, "1234")
    made = manifest("train-gan-1", "abc", Path("/state/job.json"), Path("/state/said.jsonl"), NODES)
    model = TrainerV1alpha1TrainJob.from_dict(made)
    assert model.to_dict() == made, "every field is one of a TrainJob's"
    assert model.metadata.owner_references[0].uid == "1234"
    trainer = model.spec.trainer
    assert (trainer.num_nodes, trainer.num_proc_per_node, trainer.image) == (2, 4, NODES.image)
    assert made["spec"]["trainer"]["resourcesPerNode"] == {
        "limits": {"nvidia.com/gpu": "4"},
        "requests": {"cpu": "8", "memory": "32Gi"},
    }
    assert trainer.command[1:] == [
        "-m", "torch.distributed.run", "-m", "components.train_gan.rank", "/state/job.json", "/state/said.jsonl"
    ]  # fmt: skip
    (node,) = model.spec.runtime_patches[0].training_runtime_spec.template.spec.replicated_jobs
    pod = node.template.spec.template.spec
    assert pod.volumes[0].persistent_volume_claim.claim_name == "gan-state"
    assert {mount.mount_path for mount in pod.containers[0].volume_mounts} == {"/state", "/dev/shm"}
    assert (pod.node_selector, pod.tolerations[0].value) == ({"gpu": "a100"}, "yes")
    assert pod.image_pull_secrets[0].name == "registry-login"


def test_the_nodes_meet_the_restricted_profile() -> None:
    """Of Kubernetes' PodSecurity; a container has to say so itself, and the refusal would be seen in events alone."""
    made = manifest("train-gan-1", "abc", Path("/state/job.json"), Path("/state/said.jsonl"), NODES)
    (job,) = made["spec"]["runtimePatches"][0]["trainingRuntimeSpec"]["template"]["spec"]["replicatedJobs"]
    pod = job["template"]["spec"]["template"]["spec"]
    assert pod["securityContext"] == {"runAsNonRoot": True}
    assert pod["containers"][0]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def test_the_nodes_watch_the_launcher() -> None:
    made = manifest("train-gan-1", "abc", Path("/state/nodes/job.json"), Path("/state/nodes/said.jsonl"), NODES)
    assert {"name": "GAN_PIPELINE_PARENT", "value": "beat:/state/nodes/beat"} in made["spec"]["trainer"]["env"]


def test_the_models_would_notice_a_wrong_manifest() -> None:
    made = manifest("train-gan-1", "abc", Path("/job.json"), Path("/said.jsonl"), NODES)
    made["spec"]["trainer"]["numNodes"] = "two"
    with pytest.raises(ValidationError):
        TrainerV1alpha1TrainJob.from_dict(made)


def test_torchrun_takes_the_command_and_the_runtime_s_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    from torch.distributed.run import get_args_parser

    for name, value in {"NNODES": "2", "NPROC_PER_NODE": "4", "NODE_RANK": "1", "MASTER_ADDR": "node-0"}.items():
        monkeypatch.setenv(f"PET_{name}", value)
    command = manifest("train-gan-1", "abc", Path("/job.json"), Path("/said.jsonl"), NODES)["spec"]["trainer"][
        "command"
    ]
    asked = get_args_parser().parse_args(command[3:])
    assert (asked.nnodes, asked.nproc_per_node, asked.node_rank, asked.master_addr) == ("2", "4", 1, "node-0")
    assert (asked.module, asked.training_script) == (True, "components.train_gan.rank")
    assert asked.training_script_args == ["/job.json", "/said.jsonl"]


# -- following ---------------------------------------------------------------------------------------------------------


def test_it_is_created_once_and_followed_to_its_outcome(server: TrainJobServer, job: Job) -> None:
    told = Told()
    outcome = train_on_nodes(job, NODES, told, server.jobs())
    assert (outcome.steps, outcome.unhealthy_steps, outcome.last_metrics) == (20, (3,), {"G/loss": 0.5})
    assert (told.steps, told.ticks) == ([5], [(5, {"G/loss": 0.7}, "grid.png")])
    assert told.notes == [f"TrainJob {job_name(job.folder)}: 2 nodes of 4 GPUs"]
    assert len(server.created) == 1
    assert "deletionTimestamp" in server.created[0]["metadata"], "nothing is left behind"
    left = [path.name for path in job.folder.iterdir()]
    assert left == [train_job.NODES_LEASE_FOLDER], "the copy of the data goes with the training, the number stays"


def test_the_lead_s_error_is_the_stage_s(server: TrainJobServer, doing: Doing, job: Job) -> None:
    doing.plan = ["refuse", "succeed"]
    with pytest.raises(RequestError, match=r"training\.lr=9: too much"):
        train_on_nodes(job, NODES, Told(), server.jobs())
    assert train_on_nodes(job, NODES, Told(), server.jobs()).steps == 20, "the failed one is not in the way"
    assert len(server.created) == 2
    assert len({made["spec"]["trainer"]["command"][-1] for made in server.created}) == 2, "each has a file of its own"


def test_nodes_that_die_without_a_word_are_reported(server: TrainJobServer, doing: Doing, job: Job) -> None:
    doing.plan = ["die"]
    with pytest.raises(RunError, match=r"failed without a word of its lead .*JobsFailed: exit codes \[1\]"):
        train_on_nodes(job, NODES, Told(), server.jobs())
    assert "deletionTimestamp" not in server.created[0]["metadata"], "its pods' logs can be read"


def test_nodes_that_say_nothing_are_reported(server: TrainJobServer, doing: Doing, job: Job) -> None:
    doing.plan = ["be silent"]
    with pytest.raises(RunError, match="is the volume the same on all nodes"):
        train_on_nodes(job, NODES, Told(), server.jobs())


def test_one_that_vanishes_is_reported(server: TrainJobServer, doing: Doing, job: Job) -> None:
    doing.plan = ["wait"]
    told = Told()
    thief = threading.Thread(target=lambda: (told.heard.wait(30), server.lose(job_name(job.folder))))
    thief.start()
    with pytest.raises(RunError, match="was deleted; the same command continues"):
        train_on_nodes(job, NODES, told, server.jobs())
    thief.join()


def test_a_stop_reaches_the_nodes_which_save(server: TrainJobServer, doing: Doing, job: Job) -> None:
    doing.plan = ["wait"]
    with pytest.raises(Stopped) as stopped:
        train_on_nodes(job, NODES, Told(stop_at="at work"), server.jobs())
    assert stopped.value.step == 7
    assert len(server.created) == 1


def test_nodes_that_stop_by_themselves_were_preempted(server: TrainJobServer, doing: Doing, job: Job) -> None:
    """Kubernetes tells the pods of a node that it takes away to stop; they save, and end well."""
    doing.plan = ["stop"]
    with pytest.raises(LostError, match="a node was told to stop at step 7, by no one who follows the training"):
        train_on_nodes(job, NODES, Told(), server.jobs())
    assert "deletionTimestamp" in server.created[0]["metadata"], "the next one is another TrainJob"


def test_a_stop_before_the_nodes_are_at_work(server: TrainJobServer, job: Job) -> None:
    server.start = lambda _: []  # no room for a pod yet
    with pytest.raises(Interrupted):
        train_on_nodes(job, NODES, Told(stop_at="2 nodes"), server.jobs())
    assert server.jobs().get(job_name(job.folder)) is None


def launch(server: TrainJobServer, job: Job, nodes: Nodes = NODES) -> None:
    """A launcher that was killed at once: the TrainJob is there, and nobody follows it."""
    moved = train_job._on_the_volume(job, job.folder / train_job.MEETING_FOLDER)
    train_job._TrainJob(server.jobs(), job_name(job.folder), Told()).begin(moved, nodes)


def test_a_launcher_that_is_tried_again_follows_the_one_that_is_there(
    server: TrainJobServer, doing: Doing, job: Job
) -> None:
    launch(server, job)
    told = Told()
    assert train_on_nodes(job, NODES, told, server.jobs()).steps == 20
    assert (len(server.created), told.steps) == (1, [5])
    assert told.notes == [f"TrainJob {job_name(job.folder)} is there; following it"]


def test_one_that_saved_and_ended_when_nobody_followed_is_continued_by_another(
    server: TrainJobServer, doing: Doing, job: Job
) -> None:
    """The run was stopped: its launcher is dead, its nodes have noticed, and now the run is retried."""
    doing.plan = ["stop", "succeed"]
    launch(server, job)
    for process in server._processes[job_name(job.folder)]:
        process.wait()
    assert train_on_nodes(job, NODES, Told(), server.jobs()).steps == 20
    assert len(server.created) == 2


def test_a_lead_whose_train_job_was_replaced_may_not_write(server: TrainJobServer, doing: Doing, job: Job) -> None:
    """It may live on, on a node that is cut off from its cluster."""
    asked, fences = job.folder / train_job.MEETING_FOLDER / "job.json", []
    doing.plan = ["die", "wait"]
    for _ in range(2):
        launch(server, job)
        fences.append(Job.model_validate_json(asked.read_text()).fence)
        for process in server._processes[job_name(job.folder)][:1] if len(fences) == 1 else []:
            process.wait()
    fences[1].check()
    with pytest.raises(LeaseLostError, match=r"the training in .* has gone to another attempt"):
        fences[0].check()


def test_a_launcher_that_was_taken_over_leaves_the_nodes_to_its_successor(
    server: TrainJobServer, doing: Doing, job: Job
) -> None:
    doing.plan = ["wait"]
    lease = Lease(job.folder / step.LEASE_FOLDER, "the training here")
    assert lease.take()
    told = Told()

    def stop_requested() -> bool:
        if told.heard.is_set():
            Fence.draw(lease.folder, "the training here")  # what another process does
            lease.check()
        return False

    told.stop_requested = stop_requested  # type: ignore[method-assign]
    with pytest.raises(LeaseLostError), guarded(lease.check):
        train_on_nodes(job, NODES, told, server.jobs())
    assert "deletionTimestamp" not in server.created[0]["metadata"]
    lease.release()


def test_while_it_is_followed_the_launcher_beats(server: TrainJobServer, doing: Doing, job: Job) -> None:
    doing.plan = ["wait"]
    beat, seen = job.folder / train_job.MEETING_FOLDER / train_job.BEAT_FILE, []
    told = Told(stop_at="at work")
    told.stop_requested = lambda: told.heard.is_set() and (seen.append(beat.is_file()) or True)  # type: ignore[method-assign]
    with pytest.raises(Stopped):
        train_on_nodes(job, NODES, told, server.jobs())
    assert seen[0]


def test_nodes_that_are_lost_are_replaced_without_a_retry_of_the_stage(
    server: TrainJobServer, doing: Doing, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "WAIT_SECONDS", 0.01)
    doing.plan = ["die", "lose", "succeed"]
    told = Told()
    train = partial(train_on_nodes, job, NODES, told, server.jobs())
    assert keep_training(train, job.folder / "checkpoints", 3, told).steps == 20
    assert len(server.created) == 3
    assert sum("started again from the beginning" in note for note in told.notes) == 2


@pytest.mark.parametrize("why", ["failed", "asked for something else"])
def test_one_that_cannot_be_followed_makes_room_for_another(
    server: TrainJobServer, doing: Doing, job: Job, why: str
) -> None:
    doing.plan = ["die" if why == "failed" else "wait", "succeed"]
    launch(server, job, NODES if why == "failed" else NODES.model_copy(update={"count": 3}))
    for process in server._processes[job_name(job.folder)] if why == "failed" else []:
        process.wait()
    told = Told()
    assert train_on_nodes(job, NODES, told, server.jobs()).steps == 20
    assert len(server.created) == 2
    assert any("waiting until the pods of an earlier TrainJob" in note for note in told.notes)


def test_two_that_create_at_once_end_up_with_one(server: TrainJobServer, job: Job) -> None:
    launch(server, job)
    assert server.jobs().create(server.created[0]) is False
    assert len(server.created) == 1


def test_a_server_that_is_away_for_a_while_is_waited_for(server: TrainJobServer, doing: Doing, job: Job) -> None:
    doing.plan = ["wait"]
    launch(server, job)
    server.refusals = {"GET": 503}
    told = Told()
    watch = train_job._TrainJob(server.jobs(), job_name(job.folder), told)
    assert [watch.why_over(), watch.why_over()] == ["", ""]
    assert len(told.notes) == 1, told.notes
    assert "the training goes on without" in told.notes[0]


def test_a_suspended_one_is_told_of(server: TrainJobServer, doing: Doing, job: Job) -> None:
    doing.plan = ["wait"]
    launch(server, job)
    waits = {"type": "Suspended", "status": "True", "reason": "Queued", "message": "no quota"}
    server.kept[job_name(job.folder)]["status"] = {"conditions": [waits]}
    told = Told()
    watch = train_job._TrainJob(server.jobs(), job_name(job.folder), told)
    assert [watch.why_over(), watch.why_over()] == ["", ""]
    assert told.notes == ["the TrainJob is suspended: Queued: no quota"]


# -- pods that are refused ---------------------------------------------------------------------------------------------

PROFILE = 'violates PodSecurity "restricted:latest": seccompProfile (pod or container "node" must set it)'
QUOTA = "exceeded quota: team, requested: requests.nvidia.com/gpu=4, used: 8, limited: 8"


@pytest.mark.parametrize(
    ("admission", "remedy"),
    [
        (PROFILE, "change what the runtime torch-distributed gives its pods, or the level of the namespace"),
        (QUOTA, "ask for fewer nodes or GPUs, less cpu or memory, or have the quota raised"),
        ("denied by the webhook policy.example", "change what is refused, or what refuses it"),
    ],
)
def test_nodes_that_kubernetes_refuses_are_given_up_in_its_words(
    server: TrainJobServer, job: Job, admission: str, remedy: str
) -> None:
    """TrainJob and JobSet have no condition for it, and the Job tries for ever."""
    server.admission = admission
    with pytest.raises(RequestError) as refused:
        train_on_nodes(job, NODES, Told(), server.jobs())
    name = job_name(job.folder)
    assert str(refused.value) == (
        f"Kubernetes refuses the pods of the TrainJob {name}, which is deleted: Error creating: pods "
        f'"{name}-node-0-0-x7x2p" is forbidden: {admission}; {remedy}'
    )
    assert server.jobs().get(name) is None
    assert server.events[0]["count"] > 2


def test_nodes_that_are_refused_for_a_moment_train(server: TrainJobServer, job: Job) -> None:
    server.admission = QUOTA
    told = Told()
    room = threading.Timer(0.2, lambda: setattr(server, "admission", ""))
    room.start()
    assert train_on_nodes(job, NODES, told, server.jobs()).steps == 20
    room.join()
    assert [event["reason"] for event in server.events] == ["FailedCreate", "SuccessfulCreate"]


def test_what_was_refused_before_is_not_held_against_it(server: TrainJobServer, doing: Doing, job: Job) -> None:
    """Names come again, and events stay for an hour."""
    server.start = lambda _: [subprocess.Popen(["sleep", "60"])]
    server.tell(job_name(job.folder), "FailedCreate", "Error creating: forbidden", "2020-01-01T00:00:00Z")
    launch(server, job)
    watch = train_job._TrainJob(server.jobs(), job_name(job.folder), Told())
    server.events = server.events[:1]
    for _ in range(2):
        watch.check_admission()
    assert watch._refused_since is None


def test_one_node_of_two_that_is_refused_is_waited_for(server: TrainJobServer, doing: Doing, job: Job) -> None:
    doing.plan = ["wait"]
    launch(server, job)
    server.tell(job_name(job.folder), "FailedCreate", f"Error creating: {QUOTA}")
    told = Told()
    watch = train_job._TrainJob(server.jobs(), job_name(job.folder), told)
    for _ in range(3):
        watch.check_admission()
    assert told.notes == [
        f"Kubernetes refuses a pod of the TrainJob {job_name(job.folder)}: Error creating: {QUOTA}; waiting for it"
    ]


def test_without_the_right_to_see_events_it_is_said_once(server: TrainJobServer, doing: Doing, job: Job) -> None:
    server.refusals = {"events": 403}
    doing.plan = ["wait"]
    launch(server, job)
    told = Told()
    watch = train_job._TrainJob(server.jobs(), job_name(job.folder), told)
    for _ in range(3):
        watch.check_admission()
    assert told.notes == [
        "namespace vision: the stage's service account may not list events; give it the role of "
        "infra/kustomize/base/access.yaml; should Kubernetes refuse the nodes' pods, kubectl get events says so"
    ]


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("refusals", "kind", "words"),
    [
        ({"GET": 403}, RequestError, r"namespace vision: .* may not get trainjobs.trainer.kubeflow.org"),
        ({"POST": 403}, RequestError, "may not create trainjobs"),
        ({"POST": 404}, RequestError, "install Kubeflow Trainer"),
        ({"POST": 422}, RunError, r"did not create trainjobs.trainer.kubeflow.org \(422\)"),
        ({"POST": 503}, RunError, "503"),
    ],
)
def test_what_kubernetes_refuses_is_a_sentence(
    server: TrainJobServer, job: Job, refusals: dict[str, int], kind: type[Exception], words: str
) -> None:
    server.refusals = refusals
    with pytest.raises(kind, match=words):
        train_on_nodes(job, NODES, Told(), server.jobs())
    assert server.created == []


def test_outside_a_cluster_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(RunError, match="no service account of a pod"):
        TrainJobs.in_cluster()


def test_in_a_cluster_it_speaks_as_the_pod_s_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in {"token": "abc", "ca.crt": "certificate", "namespace": NAMESPACE}.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    monkeypatch.setattr("kubernetes.config.incluster_config.SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
    monkeypatch.setattr("kubernetes.config.incluster_config.SERVICE_CERT_FILENAME", str(tmp_path / "ca.crt"))
    monkeypatch.setattr(train_job, "_NAMESPACE_FILE", tmp_path / "namespace")
    monkeypatch.setattr("kubernetes.client.rest.RESTClientObject.__init__", lambda *_, **__: None)  # reads no such ca
    jobs = TrainJobs.in_cluster()
    configuration = jobs._jobs.api_client.configuration
    assert (jobs._namespace, configuration.host) == (NAMESPACE, "https://10.0.0.1:443")
    assert configuration.get_api_key_with_prefix("authorization") == "bearer abc"


@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("dcgan", ["training.ranks=4"], "2 nodes of 4 GPUs are 8 processes"),
        ("cyclegan", [], "game.kind=cycle trains in one process"),
        ("dcgan", ["training.batch_size=60"], "does not divide by"),
    ],
)
def test_recipes_that_the_nodes_cannot_share(name: str, settings: list[str], words: str) -> None:
    with pytest.raises(RequestError, match=words):
        NODES.check(load_recipe(name, settings))
    NODES.check(load_recipe("dcgan", ["training.ranks=8", "training.batch_size=64"]))


# -- all of it ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_two_nodes_train_one_gan(dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stage makes a TrainJob whose command runs as it is, with the variables of the torch-distributed runtime."""
    monkeypatch.setattr(train_job, "WORD_SECONDS", 60.0)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def start(made: dict[str, Any]) -> list[subprocess.Popen[bytes]]:
        trainer = made["spec"]["trainer"]
        meeting = {"PET_MASTER_ADDR": "127.0.0.1", "PET_MASTER_PORT": str(port), "PET_NNODES": str(trainer["numNodes"])}
        shared = {**os.environ, **meeting, "PET_NPROC_PER_NODE": str(trainer["numProcPerNode"])}
        command = [sys.executable, *trainer["command"][1:]]
        return [
            subprocess.Popen(command, env={**shared, "PET_NODE_RANK": str(rank)}) for rank in range(trainer["numNodes"])
        ]

    tiny = [
        "training.steps=20", "training.tick=10", "training.keep=2", "training.threads=1", "training.batch_size=16",
        "networks.generator.width=4", "networks.discriminator.width=4",
    ]  # fmt: skip
    monkeypatch.setenv(train_job.NODES_VARIABLE, NODES.model_copy(update={"gpus": 1}).model_dump_json())
    with TrainJobServer(start) as server:
        monkeypatch.setattr(TrainJobs, "in_cluster", server.jobs)
        wanted = step.Request(
            model=model_document(load_recipe("cgan-projection", tiny)),
            dataset=dataset,
            output=tmp_path / "output",
            state_dir=tmp_path / "state",
            seed=0,
        )
        with open_stage("train_gan", RunContext(state_dir=str(tmp_path / "state"))) as stage:
            result = step.run(wanted, stage)
    assert (result.steps, result.generators, len(server.created)) == (20, 2, 1)
    assert json.loads((tmp_path / "output" / Training.FILE).read_text())["steps"] == 20


@pytest.mark.slow
def test_a_node_whose_lead_is_preempted_does_not_end_well(dataset: Path, tmp_path: Path) -> None:
    """The lead has all stop; a node that had ended well would not be started anew to meet it again."""
    recipe = load_recipe(
        "cgan-projection",
        ["training.steps=100000", "training.threads=1", "training.batch_size=16", "networks.generator.width=4"],
    )
    asked, said = tmp_path / "job.json", tmp_path / "said.jsonl"
    job = Job(recipe=model_document(recipe), dataset=dataset, folder=tmp_path / "state", seed=0)
    asked.write_text(job.model_dump_json())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        meeting = {"PET_MASTER_ADDR": "127.0.0.1", "PET_MASTER_PORT": str(free.getsockname()[1]), "PET_NNODES": "2"}
    command = [sys.executable, "-m", "torch.distributed.run", "-m", "components.train_gan.rank", str(asked), str(said)]
    lead, other = (
        subprocess.Popen(command, env={**os.environ, **meeting, "PET_NODE_RANK": str(rank)}) for rank in range(2)
    )
    try:
        while "progress" not in (said.read_text() if said.is_file() else ""):
            assert lead.poll() is None
            time.sleep(0.1)
        lead.terminate()
        assert other.wait(timeout=120) == 1
        assert json.loads(said.read_text().splitlines()[-1])["kind"] == "stopped"
    finally:
        for node in (lead, other):
            node.kill()
            node.wait()

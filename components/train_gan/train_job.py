"""Trains on several nodes: makes a `TrainJob` of Kubeflow Trainer (2.2 or newer), and hears what its lead says.

The nodes meet on the volume: what they need lies in a folder below the training's state, and there the lead writes what
the stage must hear. The TrainJob is named after the state folder, so that whoever trains there finds the one that is
there already; it is deleted when the lead has had its word, or when a stop is asked for.

A launcher that dies runs no handler, and its pod stays when a run is stopped: Kubernetes would let the nodes train on.
That is why they watch a file that the launcher changes all the time: when it has not for `BEAT_LIMIT_SECONDS`, they
save and end. Nothing has to work for that but the nodes themselves.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from components.lease import Fence
from components.redaction import redact
from components.stage.failures import Interrupted
from components.stage.progress import EventReader
from components.stage.stopping import BEAT, PARENT_VARIABLE, beating
from components.tracking.journal import link_or_copy, remove
from components.train_gan.rank import Job, Lead, outcome_of
from gan_models.atomic import may_write, new_folder, write_text
from gan_models.errors import LostError, RequestError, RunError

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

    from components.stage.progress import Event
    from gan_models.recipes import Recipe
    from gan_models.training.loop import Outcome, Reporter

NODES_VARIABLE = "GAN_PIPELINE_NODES"
POD_NAME_VARIABLE, POD_UID_VARIABLE = "GAN_PIPELINE_POD_NAME", "GAN_PIPELINE_POD_UID"
GROUP, VERSION, PLURAL = "trainer.kubeflow.org", "v1alpha1", "trainjobs"
RUNTIME = "torch-distributed"  # comes with Kubeflow Trainer; tells torchrun of the nodes in PET_* variables
NODE = "node"  # what that runtime calls its job and its container
RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}
"""With a pod that is not root: what the profile of that name asks of each container."""
REFUSALS = ("FailedCreate", "JobCreationFailed")  # reasons of events: of a Job that is denied a pod, a JobSet its Job
POD_MADE = ("Job", "SuccessfulCreate")
ACCESS = "infra/kustomize/base/access.yaml"
MANAGER = "gan-pipeline/launcher"
DIGEST = "gan-pipeline/digest"  # annotation: of all that was asked for
MEETING_FOLDER, BEAT_FILE = "nodes", "beat"
NODES_LEASE_FOLDER = "lease-of-nodes"  # outlives the meeting, so that numbers only grow

POLL_SECONDS = 1.0
LOOK_SECONDS = 10.0  # between two questions to Kubernetes
REFUSED_SECONDS = 45.0  # how long Kubernetes may refuse every pod of the nodes: a quota may become free
WORD_SECONDS = 60.0  # how long a network volume may take to show what the lead said last
REQUEST_SECONDS = 30.0
GRACE_SECONDS = 120  # for the last checkpoint, when the nodes are told to stop
_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


class Nodes(BaseModel):
    """The nodes of a training, as a launcher's environment describes them; the terms are those of a pod's manifest."""

    model_config = ConfigDict(frozen=True)

    count: int
    gpus: int  # of each node
    accelerator: str
    cpu: str  # of each node, as it asks for
    memory: str
    image: str
    pvc: str
    mount: str
    shm: str
    node_selector: dict[str, str] = {}
    tolerations: list[dict[str, str]] = []
    pull_secrets: list[str] = []
    labels: dict[str, str] = {}
    variables: dict[str, str] = {}

    @classmethod
    def from_environment(cls) -> Nodes | None:
        """None where a training has one node: this one."""
        text = os.environ.get(NODES_VARIABLE)
        return cls.model_validate_json(text) if text else None

    def check(self, recipe: Recipe) -> None:
        """Refuses a recipe that cannot be trained by one process for each GPU. Raises RequestError."""
        asked, processes = recipe.training.ranks, self.count * self.gpus
        if asked is not None and asked != processes:
            raise RequestError(
                f"training.ranks={asked}: {self.count} nodes of {self.gpus} GPUs are {processes} processes; "
                "leave training.ranks out"
            )
        if not recipe.game.shareable:
            raise RequestError(
                f"nodes {self.count}: game.kind={recipe.game.kind} trains in one process; use 1 node with 1 GPU"
            )
        recipe.check_ranks(processes)


class UnreachableError(RunError):
    """Kubernetes does not answer; it may later."""


class TrainJobs:
    """The TrainJobs of one namespace."""

    def __init__(self, api: ApiClient, namespace: str) -> None:
        from kubernetes import client

        self._jobs, self._core = client.CustomObjectsApi(api), client.CoreV1Api(api)
        self._namespace = namespace
        self._where = {"group": GROUP, "version": VERSION, "plural": PLURAL}

    @classmethod
    def in_cluster(cls) -> TrainJobs:
        """Of the namespace that this pod is in, as its service account. Raises RunError."""
        from kubernetes import client, config

        try:
            configuration = client.Configuration()
            config.load_incluster_config(configuration)
            namespace = _NAMESPACE_FILE.read_text(encoding="utf-8").strip()
        except (config.ConfigException, OSError) as error:
            raise RunError(
                f"{NODES_VARIABLE} asks for several nodes, but this process has no service account of a pod: {error}"
            ) from None
        return cls(client.ApiClient(configuration), namespace)

    def get(self, name: str) -> dict[str, Any] | None:
        """None where there is none. Raises RequestError, RunError."""
        return self._ask_of_job("get", 404, name=name)

    def create(self, manifest: dict[str, Any]) -> bool:
        """Whether it was made; False where there is one of its name. Raises RequestError, RunError."""
        return self._ask_of_job("create", 409, body=manifest) is not None

    def delete(self, name: str) -> None:
        """It stays, marked as going, until its pods have ended. Raises RequestError, RunError."""
        self._ask_of_job("delete", 404, name=name, propagation_policy="Foreground")

    def events(self, there: dict[str, Any]) -> list[Any]:
        """Those of a TrainJob, of its JobSet and of their Job, since it was made: one of its name may have been before.

        Raises:
            RequestError, RunError.
        """
        name, made = there["metadata"]["name"], datetime.fromisoformat(there["metadata"]["creationTimestamp"])
        found = []
        for each in (name, f"{name}-{NODE}-0"):
            what = f"involvedObject.name={each}"
            found += self._ask("list", "events", None, self._core.list_namespaced_event, field_selector=what).items
        return [event for event in found if _moment(event) >= made]

    def _ask_of_job(self, verb: str, known: int, **what: Any) -> dict[str, Any] | None:
        call = getattr(self._jobs, f"{verb}_namespaced_custom_object")
        answer: dict[str, Any] | None = self._ask(verb, f"{PLURAL}.{GROUP}", known, call, **self._where, **what)
        return answer

    def _ask(self, verb: str, things: str, known: int | None, call: Callable[..., Any], **what: Any) -> Any:
        """What Kubernetes answers, None where that is the status `known`; the client's errors as sentences."""
        from kubernetes.client import ApiException
        from urllib3.exceptions import HTTPError

        try:
            return call(**{"namespace": self._namespace, **what}, _request_timeout=REQUEST_SECONDS)
        except HTTPError as error:
            raise UnreachableError(f"Kubernetes does not answer ({verb} {things}): {error}") from None
        except ApiException as error:
            if error.status == known:
                return None
            if error.status in (401, 403):
                raise RequestError(
                    f"namespace {self._namespace}: the stage's service account may not {verb} {things}; "
                    f"give it the role of {ACCESS}"
                ) from None
            if error.status == 404:
                raise RequestError(
                    f"the cluster has no {things}: install Kubeflow Trainer, or train on one node"
                ) from None
            kind = UnreachableError if not error.status or error.status == 429 or error.status >= 500 else RunError
            raise kind(f"Kubernetes did not {verb} {things} ({error.status}): {error.body or error.reason}") from None


def train_on_nodes(job: Job, nodes: Nodes, reporter: Reporter, jobs: TrainJobs | None = None) -> Outcome:
    """Trains `job` on the nodes, in one process for each GPU; resumes as one process does.

    Args:
        jobs: where; default: in this pod's namespace.

    Raises:
        RequestError, RunError, Stopped: as a training in one process.
        LostError: the TrainJob failed, or is gone.
        Interrupted: a stop was asked for before the nodes were at work.
    """
    train_job = _TrainJob(jobs or TrainJobs.in_cluster(), job_name(job.folder), reporter)
    meeting = job.folder / MEETING_FOLDER
    may_write()
    job = _on_the_volume(job, meeting)
    with beating(meeting / BEAT_FILE):
        try:
            word = train_job.follow(Lead(train_job.begin(job, nodes), reporter))
        finally:
            # Not what another launcher follows by now. Where it cannot be done, its nodes notice that nobody beats.
            with suppress(RequestError, RunError, OSError):
                may_write()
                train_job.clear_away()
    outcome = outcome_of(word)
    may_write()
    remove(meeting)
    return outcome


def job_name(folder: Path) -> str:
    """Of the TrainJob that trains in a state folder: two never train in one."""
    return f"train-gan-{hashlib.sha256(str(folder).encode()).hexdigest()[:16]}"


def _on_the_volume(job: Job, meeting: Path) -> Job:
    """The job, with copies of what only this pod can see."""
    copies = {"dataset": job.dataset, "start": job.start}
    for name, source in copies.items():
        if source is not None and not (meeting / name).is_dir():
            with new_folder(meeting / name) as target:
                shutil.copytree(source, target, copy_function=link_or_copy, dirs_exist_ok=True)
    return job.model_copy(update={name: meeting / name for name, source in copies.items() if source is not None})


def _lay_out(job: Job) -> Path:
    """Writes the job for the nodes; returns where their lead is to write: another file for every TrainJob.

    Another number, too: a lead that lives on, cut off from its cluster, writes no more. The launcher's own number would
    not do: who is started again follows the nodes of the one before.
    """
    meeting = job.folder / MEETING_FOLDER
    may_write()
    for old in meeting.glob("said-*.jsonl"):
        remove(old)
    fence = Fence.draw(job.folder / NODES_LEASE_FOLDER, f"the training in {job.folder}")
    job = job.model_copy(update={"fence": fence})
    write_text(meeting / "job.json", job.model_dump_json())
    return meeting / f"said-{uuid.uuid4().hex[:8]}.jsonl"


def _conditions(there: dict[str, Any]) -> dict[str, str]:
    """Those that are true, with why."""
    conditions = there.get("status", {}).get("conditions", [])
    return {
        each["type"]: f"{each.get('reason', '')}: {each.get('message', '')}"
        for each in conditions
        if each["status"] == "True"
    }


def _moment(event: Any) -> datetime:
    """When it was seen last; who has written it decides where that is."""
    series = event.series.last_observed_time if event.series else None
    moment: datetime = series or event.last_timestamp or event.event_time or event.metadata.creation_timestamp
    return moment


def _remedy(said: str) -> str:
    if "PodSecurity" in said:
        return f"change what the runtime {RUNTIME} gives its pods, or the level of the namespace"
    if "quota" in said:
        return "ask for fewer nodes or GPUs, less cpu or memory, or have the quota raised"
    return "change what is refused, or what refuses it"


def _is_over(there: dict[str, Any], said: Path) -> bool:
    """Whether it has nothing more to tell: it failed, or has saved and stopped when nobody followed it."""
    words = [event["kind"] for event in EventReader(said).read()]
    return "Failed" in _conditions(there) or words[-1:] == ["stopped"]


class _TrainJob:
    """The TrainJob that trains in a state folder; what is worth knowing of it is said once."""

    def __init__(self, jobs: TrainJobs, name: str, reporter: Reporter) -> None:
        self._jobs, self._name, self._reporter = jobs, name, reporter
        self._said: set[str] = set()
        self._sees_events = True
        self._refused_since: float | None = None

    def begin(self, job: Job, nodes: Nodes) -> Path:
        """The file that the lead writes to, of the TrainJob that is there, or of a new one."""
        digest = hashlib.sha256((job.model_dump_json() + nodes.model_dump_json()).encode()).hexdigest()[:16]
        while True:
            may_write()
            there = self._jobs.get(self._name)
            if there is None:
                said = _lay_out(job)
                if self._jobs.create(manifest(self._name, digest, said.with_name("job.json"), said, nodes)):
                    self._note(f"TrainJob {self._name}: {nodes.count} nodes of {nodes.gpus} GPUs")
                    return said
                continue
            metadata = there["metadata"]
            same = metadata.get("annotations", {}).get(DIGEST) == digest
            going = "deletionTimestamp" in metadata
            said = Path(there["spec"]["trainer"]["command"][-1])
            if same and not going and not _is_over(there, said):
                self._note(f"TrainJob {self._name} is there; following it")
                return said
            if not going:
                self._jobs.delete(self._name)
            self._note(f"waiting until the pods of an earlier TrainJob {self._name} have ended")
            if self._reporter.stop_requested():
                raise Interrupted
            time.sleep(POLL_SECONDS)

    def follow(self, lead: Lead) -> Event:
        """Passes on what the lead says; returns its last word. Raises RequestError, LostError, Interrupted."""
        stopping, why, look_at, give_up_at = False, "", 0.0, float("inf")
        while True:
            if word := lead.listen():
                if word["kind"] == "stopped" and not stopping and not self._reporter.stop_requested():
                    # A node that is preempted is told to stop, and all agree to. One that has ended well is not begun
                    # anew by its Job, so that the others would wait for it: another TrainJob it is.
                    raise LostError(
                        f"a node was told to stop at step {word['step']}, by no one who follows the training"
                    )
                return word
            now = time.monotonic()
            if now >= give_up_at:
                if stopping:
                    raise Interrupted
                raise LostError(f"the TrainJob {self._name} {why}")
            if self._reporter.stop_requested() and not stopping:
                with suppress(UnreachableError):
                    self._jobs.delete(self._name)  # its pods are told to stop, and save
                    stopping = True
            if not why and now >= look_at:
                look_at = now + LOOK_SECONDS
                if why := self.why_over():
                    give_up_at = now + WORD_SECONDS
                elif not stopping and not lead.heard:
                    self.check_admission()
            time.sleep(POLL_SECONDS)

    def check_admission(self) -> None:
        """Gives up where Kubernetes has refused every pod for `REFUSED_SECONDS`: it says so in events alone.

        Raises:
            RequestError: with its words, and the remedy.
        """
        if not self._sees_events:
            return
        try:
            there = self._jobs.get(self._name)
            events = self._jobs.events(there) if there else []
        except UnreachableError:
            return  # the next look may tell
        except (RequestError, RunError) as error:
            self._sees_events = False
            self._note(f"{error}; should Kubernetes refuse the nodes' pods, kubectl get events says so")
            return
        refusals = sorted((event for event in events if event.reason in REFUSALS), key=_moment)
        made = [_moment(event) for event in events if (event.involved_object.kind, event.reason) == POD_MADE]
        if not refusals or (made and _moment(refusals[-1]) < max(made)):
            return
        said = " ".join(redact(refusals[-1].message).split())
        if made:
            self._note(f"Kubernetes refuses a pod of the TrainJob {self._name}: {said}; waiting for it")
            return
        self._refused_since = self._refused_since or time.monotonic()
        if time.monotonic() - self._refused_since >= REFUSED_SECONDS:
            raise RequestError(
                f"Kubernetes refuses the pods of the TrainJob {self._name}, which is deleted: {said}; {_remedy(said)}"
            )

    def clear_away(self) -> None:
        """Deletes it, but keeps one that failed, with its pods and their logs, until the next attempt."""
        there = self._jobs.get(self._name)
        if there is not None and "Failed" not in _conditions(there):
            self._jobs.delete(self._name)

    def why_over(self) -> str:
        """How it ended, as the rest of a sentence; empty while it goes on, or while nobody can tell."""
        try:
            there = self._jobs.get(self._name)
        except UnreachableError as error:
            self._note(f"{error}; the training goes on without")
            return ""
        if there is None:
            return "was deleted; the same command continues"
        true = _conditions(there)
        if "Failed" in true:
            return (
                f"failed without a word of its lead (killed, or out of memory?): {true['Failed']}; its pods are kept, "
                f"see kubectl logs --selector jobset.sigs.k8s.io/jobset-name={self._name}"
            )
        if "Complete" in true:
            return "ended without a word of its lead: is the volume the same on all nodes (ReadWriteMany)?"
        if "Suspended" in true:
            self._note(f"the TrainJob is suspended: {true['Suspended']}")
        return ""

    def _note(self, sentence: str) -> None:
        if sentence not in self._said:
            self._said.add(sentence)
            self._reporter.note(sentence)


def manifest(name: str, digest: str, asked: Path, said: Path, nodes: Nodes) -> dict[str, Any]:
    """The TrainJob: `components.train_gan.rank ASKED SAID` on every GPU of the nodes.

    The nodes get neither secrets nor a right in Kubernetes: they read and write the volume alone.
    """
    patch = {"name": NODE, "template": {"spec": {"template": _pod(nodes)}}}
    variables = {**nodes.variables, PARENT_VARIABLE: f"{BEAT}{asked.with_name(BEAT_FILE)}"}
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "TrainJob",
        "metadata": {"name": name, "labels": nodes.labels, "annotations": {DIGEST: digest}, **_owner()},
        "spec": {
            "runtimeRef": {"apiGroup": GROUP, "kind": "ClusterTrainingRuntime", "name": RUNTIME},
            "trainer": {
                "image": nodes.image,
                "command": [
                    "python3", "-m", "torch.distributed.run", "-m", "components.train_gan.rank", str(asked), str(said)
                ],
                "env": [{"name": key, "value": value} for key, value in variables.items()],
                "numNodes": nodes.count,
                "numProcPerNode": nodes.gpus,
                "resourcesPerNode": {
                    "limits": {nodes.accelerator: str(nodes.gpus)},
                    "requests": {"cpu": nodes.cpu, "memory": nodes.memory},
                },
            },
            "runtimePatches": [
                {"manager": MANAGER, "trainingRuntimeSpec": {"template": {"spec": {"replicatedJobs": [patch]}}}}
            ],
        },
    }  # fmt: skip


def _pod(nodes: Nodes) -> dict[str, Any]:
    return {
        # Through a mesh's proxy the processes would not find one another.
        "metadata": {"labels": {**nodes.labels, "sidecar.istio.io/inject": "false"}},
        "spec": {
            "nodeSelector": nodes.node_selector,
            "tolerations": nodes.tolerations,
            "imagePullSecrets": [{"name": name} for name in nodes.pull_secrets],
            "securityContext": {"runAsNonRoot": True},
            "terminationGracePeriodSeconds": GRACE_SECONDS,
            "volumes": [
                {"name": "state", "persistentVolumeClaim": {"claimName": nodes.pvc}},
                {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": nodes.shm}},
            ],
            "containers": [
                {
                    "name": NODE,
                    "securityContext": RESTRICTED,
                    "volumeMounts": [
                        {"name": "state", "mountPath": nodes.mount},
                        {"name": "shm", "mountPath": "/dev/shm"},
                    ],
                }
            ],
        },
    }


def _owner() -> dict[str, Any]:
    """Kubernetes deletes the TrainJob when this pod is deleted, should it not have been able to do so itself."""
    name, uid = os.environ.get(POD_NAME_VARIABLE), os.environ.get(POD_UID_VARIABLE)
    if not name or not uid:
        return {}
    return {"ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": name, "uid": uid}]}

"""Where on a cluster the stages run and with what: image, GPUs, nodes, volumes, secrets, retries, timeouts."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from components.context import RUN_ID_VARIABLE
from components.stage.failures import CLAIM_VARIABLE
from components.train_gan.supervisor import RESTARTS_VARIABLE
from components.train_gan.train_job import NODES_VARIABLE, POD_NAME_VARIABLE, POD_UID_VARIABLE, Nodes
from gan_models.metrics.locations import CACHE_VARIABLE
from pipeline.definitions.stages import Stage, stage_of

if TYPE_CHECKING:
    from kfp.dsl import PipelineTask

UNKNOWN = Stage(component="", title="")  # a task that is none of our stages needs nothing
RUN_LABEL = "pipeline/runid"
"""Set by KFP on every pod of a run: the same over retries, another one for each run of a schedule."""
OWN_LABELS, STAGE_LABEL = {"app.kubernetes.io/part-of": "gan-pipeline"}, "gan-pipeline/stage"
TRACKING_KEYS = ("MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")
MAX_GPUS, MAX_NODES, MAX_RETRIES = 64, 64, 10
RETRY_WAIT_SECONDS, RETRY_FACTOR = 60, 2.0
RESTARTS = 5  # of the training inside its pod, in a row without a new checkpoint
OTHER_STAGES_HOURS = 12

_LABEL_NAME = r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_SUBDOMAIN = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
_QUALIFIED = re.compile(rf"({_SUBDOMAIN}/)?{_LABEL_NAME}")
_LABEL_VALUE = re.compile(rf"({_LABEL_NAME})?")
_QUANTITY = re.compile(r"[1-9][0-9]*(\.[0-9]+)?(Ki|Mi|Gi|Ti|k|M|G|T)?")
_CORES = re.compile(r"[1-9][0-9]*m?|[0-9]+\.[0-9]+")
_REPOSITORY = r"[a-z0-9]+([._-]+[a-z0-9]+)*"
_IMAGE = re.compile(
    rf"([A-Za-z0-9.-]+(:[0-9]+)?/)?{_REPOSITORY}(/{_REPOSITORY})*(:[\w][\w.-]{{0,127}})?(@sha256:[0-9a-f]{{64}})?"
)
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")


def _checked(is_right: Callable[[str], Any], expected: str) -> AfterValidator:
    """Refuses a text, with what was expected of it."""

    def check(text: str) -> str:
        if not is_right(text):
            raise ValueError(f"{text!r}{expected}")
        return text

    return AfterValidator(check)


def _is_object_name(name: str) -> bool:
    """RFC 1123."""
    return len(name) <= 253 and re.fullmatch(_SUBDOMAIN, name) is not None


def _is_label(pair: str) -> bool:
    key, equals, value = pair.partition("=")
    return bool(equals and _QUALIFIED.fullmatch(key) and _LABEL_VALUE.fullmatch(value))


_NO_NAME = " is no name for Kubernetes: use lower-case letters, digits and dashes"
ObjectName = Annotated[str, _checked(_is_object_name, _NO_NAME)]
Namespace = Annotated[
    str,
    _checked(
        lambda name: len(name) <= 63 and "." not in name,
        " is no namespace: use at most 63 lower-case letters, digits and dashes",
    ),
    _checked(_is_object_name, _NO_NAME),
]
Image = Annotated[str, _checked(_IMAGE.fullmatch, " is no image: write registry/name:tag or registry/name@sha256:...")]
Resource = Annotated[
    str,
    _checked(
        lambda name: "/" in name and _QUALIFIED.fullmatch(name),
        " is no resource: expected one such as nvidia.com/gpu or amd.com/gpu",
    ),
]
Label = Annotated[str, _checked(_is_label, ": expected label=value, at most 63 letters, digits, dashes and dots each")]
MountPath = Annotated[
    str,
    _checked(
        lambda path: re.fullmatch(r"(/[\w.-]+)+", path) and ".." not in path,
        ": expected an absolute path such as /state",
    ),
]
Quantity = Annotated[str, _checked(_QUANTITY.fullmatch, " is no size: write one such as 512Mi or 2Gi")]
Cores = Annotated[str, _checked(_CORES.fullmatch, " is no number of cores: write one such as 2 or 500m")]


def pairs(texts: tuple[str, ...]) -> dict[str, str]:
    """Of `key=value` each."""
    return {key: value for key, _, value in (text.partition("=") for text in texts)}


def parse_toleration(text: str) -> dict[str, str]:
    """As in a manifest, of `key`, `key:effect`, `key=value` or `key=value:effect`; ValueError for all else."""
    pair, colon, effect = text.partition(":")
    key, equals, value = pair.partition("=")
    if not _QUALIFIED.fullmatch(key) or not _LABEL_VALUE.fullmatch(value):
        raise ValueError(f"{text!r}: expected key, key=value or key=value:effect, as in nvidia.com/gpu:NoSchedule")
    if colon and effect not in _EFFECTS:
        raise ValueError(f"{text!r}: there is no effect {effect!r}, only {', '.join(_EFFECTS)}")
    manifest = {"key": key, "operator": "Equal", "value": value} if equals else {"key": key, "operator": "Exists"}
    return {**manifest, "effect": effect} if effect else manifest


def parse_secret(text: str) -> tuple[str, dict[str, str], bool]:
    """A Kubernetes secret, its keys and the environment variables that they become, and whether it may lack them.

    `name:key=VARIABLE,...` says which, and a pod does not start without them; `name` alone means whatever it has of
    `TRACKING_KEYS`.

    Raises:
        ValueError: it is neither.
    """
    name, colon, keys = text.partition(":")
    if not _is_object_name(name):
        raise ValueError(f"{name!r}{_NO_NAME}")
    if not colon:
        return name, {key: key for key in TRACKING_KEYS}, True
    variables = {}
    for part in keys.split(","):
        key, equals, variable = part.partition("=")
        variable = variable if equals else key
        if not re.fullmatch(r"[-._A-Za-z0-9]+", key) or not re.fullmatch(r"[A-Za-z_]\w*", variable):
            raise ValueError(
                f"{text!r}: expected name, or name:key=VARIABLE, as in mlflow:user=MLFLOW_TRACKING_USERNAME"
            )
        variables[key] = variable
    return name, variables, False


class Placement(BaseModel):
    """Everything about a cluster that goes into a compiled pipeline. Lists are written as on the command line."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    image: Image  # with a tag other than latest, or a digest
    gpus: int = Field(0, ge=0, le=MAX_GPUS)
    """Of the training stage, on each of its nodes; the stages after it get one if there is any."""
    nodes: int = Field(1, ge=1, le=MAX_NODES)
    """Of the training stage: with several it has no GPU itself and makes a Kubeflow TrainJob that has them."""
    accelerator: Resource = "nvidia.com/gpu"  # the resource that a GPU is to Kubernetes
    cpu: Cores = "1"  # that every pod asks for; without, a quota refuses it and it is the first to be evicted
    memory: Quantity = "4Gi"  # likewise
    node_selector: tuple[Label, ...] = ()  # `label=value`, of the stages that get a GPU; of all when there are none
    toleration: tuple[Annotated[str, _checked(parse_toleration, "")], ...] = ()  # for the same stages
    pvc: ObjectName | None = None  # a PersistentVolumeClaim for checkpoints, journals, logs and caches
    mount: MountPath = "/state"
    secret: tuple[Annotated[str, _checked(parse_secret, "")], ...] = ()
    pull_secret: tuple[ObjectName, ...] = ()
    shm: Quantity = "2Gi"  # of /dev/shm, for stages with a GPU; it counts against the memory of the pod
    retries: int | None = Field(None, ge=0, le=MAX_RETRIES)
    """Of the training stage, with back-off; default: 3 with a PVC to go on from, else none."""
    timeout_hours: float = Field(48, gt=0, le=24 * 30)  # of one attempt at training
    label: tuple[Label, ...] = ()  # `label=value` of every pod

    @model_validator(mode="after")
    def _check_nodes(self) -> Placement:
        if self.nodes > 1 and not self.gpus:
            raise ValueError(f"nodes {self.nodes}: say with gpus how many GPUs each of them has")
        if self.nodes > 1 and not self.pvc:
            raise ValueError(f"nodes {self.nodes}: they meet on a volume; name a ReadWriteMany claim with pvc")
        return self

    @property
    def training_retries(self) -> int:
        """Without a volume to go on from, a retry would train from the start."""
        return self.retries if self.retries is not None else 3 * bool(self.pvc)

    def gpus_of(self, stage: Stage) -> int:
        if stage.gpus == "all":
            return self.gpus if self.nodes == 1 else 0
        return min(1, self.gpus) if stage.gpus == "one" else 0

    def training_nodes(self) -> Nodes | None:
        """What the training's pods on other nodes are given; None where it has one node."""
        if self.nodes == 1 or not self.pvc:
            return None
        return Nodes(
            **self.model_dump(include={"gpus", "accelerator", "cpu", "memory", "image", "pvc", "mount", "shm"}),
            count=self.nodes,
            node_selector=pairs(self.node_selector),
            tolerations=list(map(parse_toleration, self.toleration)),
            pull_secrets=list(self.pull_secret),
            labels={**OWN_LABELS, **pairs(self.label)},
            variables={CACHE_VARIABLE: f"{self.mount}/cache"},
        )

    def apply(self, task: PipelineTask, cache_preparation: bool) -> None:
        """Places one task; `cache_preparation`: an earlier run that was asked for the same data may stand for it."""
        from kfp import kubernetes

        component = task.component_spec.name
        stage = stage_of(component) or UNKNOWN
        task.set_container_image(self.image)
        task.set_cpu_request(self.cpu).set_memory_request(self.memory)
        task.set_caching_options(enable_caching=cache_preparation and stage.reads_source)
        kubernetes.set_security_context(task, run_as_non_root=True)
        kubernetes.use_field_path_as_env(task, RUN_ID_VARIABLE, f"metadata.labels['{RUN_LABEL}']")
        for key, value in {**OWN_LABELS, STAGE_LABEL: component, **pairs(self.label)}.items():
            kubernetes.add_pod_label(task, key, value)
        self._give_devices(task, self.gpus_of(stage))
        if stage.gpus == "all" and (nodes := self.training_nodes()):
            nodes.labels[STAGE_LABEL] = component
            task.set_env_variable(NODES_VARIABLE, nodes.model_dump_json())
            # Which pod the TrainJob belongs to.
            kubernetes.use_field_path_as_env(task, POD_NAME_VARIABLE, "metadata.name")
            kubernetes.use_field_path_as_env(task, POD_UID_VARIABLE, "metadata.uid")
        for text in self.secret:
            kubernetes.use_secret_as_env(task, *parse_secret(text))
        if self.pull_secret:
            kubernetes.set_image_pull_secrets(task, list(self.pull_secret))
        if self.pvc:
            kubernetes.mount_pvc(task, self.pvc, self.mount)
            task.set_env_variable(CLAIM_VARIABLE, self.pvc)
            task.set_env_variable(CACHE_VARIABLE, f"{self.mount}/cache")
        kubernetes.set_timeout(task, round((self.timeout_hours if stage.resumes else OTHER_STAGES_HOURS) * 3600))
        if stage.resumes and self.training_retries:
            task.set_env_variable(RESTARTS_VARIABLE, str(RESTARTS))
            task.set_retry(self.training_retries, f"{RETRY_WAIT_SECONDS}s", RETRY_FACTOR, f"{self._retry_seconds}s")

    @property
    def _retry_seconds(self) -> int:
        """Since the first attempt; no wait, as KFP's words have it: at its end an attempt under way is ended too."""
        waits = sum(RETRY_WAIT_SECONDS * RETRY_FACTOR**number for number in range(self.training_retries))
        return round((self.training_retries + 1) * self.timeout_hours * 3600 + waits)

    def _give_devices(self, task: PipelineTask, gpus: int) -> None:
        from kfp import kubernetes

        if gpus:
            task.set_accelerator_type(self.accelerator).set_accelerator_limit(gpus)
            kubernetes.empty_dir_mount(task, "shm", "/dev/shm", medium="Memory", size_limit=self.shm)
        if gpus or not self.gpus:
            for key, value in pairs(self.node_selector).items():
                kubernetes.add_node_selector(task, key, value)
            for manifest in map(parse_toleration, self.toleration):
                kubernetes.add_toleration(task, **{"value": None, "effect": None, **manifest})

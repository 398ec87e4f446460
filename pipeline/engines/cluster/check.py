"""Whether a cluster has what a run needs: asked before anything is sent, and nothing is changed by asking.

The answers come from KFP's health page and API, and from the API of Kubernetes where this machine has access to it.
What its admission says of pods is learnt from a dry run: it is asked as for a pod, and makes none.
What cannot be seen from here is unknown, with what it would take.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import yaml

from components.train_gan.train_job import GROUP, PLURAL, RESTRICTED
from gan_models.errors import RequestError
from pipeline.engines.cluster.kubernetes_api import Kubernetes, NoAnswerError
from pipeline.engines.cluster.placement import OWN_LABELS, Placement, pairs, parse_secret, parse_toleration
from pipeline.engines.cluster.runs import ClusterRuns
from pipeline.engines.cluster.settings import ClusterSettings

OLDEST = (2, 16)  # of KFP: older ones take a schedule's runs along when it is deleted
ADMISSION_REMEDY = "ask for less, or have the namespace's quota or policy changed"
CONTROLLER = "workflow-controller-configmap"  # of Argo; what all workflows have by default is in it
RETRY_LINE = "spec: {templateDefaults: {retryStrategy: {retryPolicy: Always}}}"

State = Literal["ok", "wrong", "unknown"]


@dataclass(frozen=True)
class Finding:
    """One thing that a run needs."""

    what: str
    state: State
    sentence: str  # what was seen; the remedy where it is wrong, what it would take where it is unknown
    source: str  # who says so


def check_cluster(settings: ClusterSettings) -> Iterator[Finding]:
    """Everything in turn; RequestError, RunError where the server itself cannot be asked."""
    runs, connection = ClusterRuns(settings.connection), settings.connection
    health = json.loads(runs.client.get_text("ask how it is", "/apis/v2beta1/healthz"))
    shared = bool(health.get("multi_user"))
    yield _version(str(health.get("tag_name") or "unknown"))
    pods_in = f"pods run in {connection.namespace}" if shared else "pods run in the server's own namespace"
    hint = "" if shared else f"; claim, secrets and roles are looked for in {connection.namespace}: is it that?"
    yield Finding("mode", "ok", f"{'for many users' if shared else 'for one user'}: {pods_in}{hint}", "health answer")
    there = "is there" if runs.experiment(make=False) else "will be made"
    yield Finding("experiment", "ok", f"{connection.experiment} {there}", "KFP's API")
    try:
        placement = settings.placement()
    except RequestError as error:
        yield Finding("placement", "wrong", str(error), "settings")
        return
    pinned = "@sha256:" in placement.image
    advice = "" if pinned else "; a tag can be moved: image_digest pins it"
    yield Finding("image", "ok", f"{placement.image}{advice}", "settings")
    yield from _Namespace(connection.namespace, connection.service_account, shared).findings(placement)


def _version(tag: str) -> Finding:
    found = re.match(r"v?(\d+)\.(\d+)", tag)
    wanted = ".".join(map(str, OLDEST))
    if found is None:
        return Finding("server", "unknown", f"says version {tag!r}; {wanted} or newer is needed", "health answer")
    if (int(found[1]), int(found[2])) < OLDEST:
        return Finding("server", "wrong", f"version {tag}: update it to {wanted} or newer", "health answer")
    return Finding("server", "ok", f"version {tag}", "health answer")


class _Namespace:
    """What the API of Kubernetes says of one namespace."""

    def __init__(self, namespace: str, account: str | None, shared: bool) -> None:
        self._namespace = namespace
        self._account = account or ("default-editor" if shared else "pipeline-runner")  # KFP's own
        self._server = "kubeflow" if shared else namespace
        self._kubernetes = Kubernetes(namespace)

    def findings(self, placement: Placement) -> Iterator[Finding]:
        if placement.pvc:
            claim = self._ask("claim", lambda: self._claim(placement))
            yield claim
            if claim.state == "ok":
                yield self._ask("storage class", lambda: self._storage_class(placement))
        for text in placement.secret:
            name = parse_secret(text)[0]
            yield self._ask(f"secret {name}", partial(self._secret, text))
        if placement.nodes > 1:
            yield self._ask("role", self._role)
        yield self._ask("quota", lambda: self._quota(placement))
        most = placement.gpus if placement.nodes == 1 else 1  # that a stage gets
        yield self._ask("pods", lambda: self._dry_run(placement, self._account, most))
        if placement.nodes > 1:
            yield self._ask("nodes' pods", lambda: self._dry_run(placement, "default", placement.gpus))
        yield self._ask("retry policy", self._retry_policy)

    def _ask(self, what: str, look: Callable[[], tuple[State, str]]) -> Finding:
        source = "Kubernetes API"
        try:
            return Finding(what, *look(), source)
        except NoAnswerError as error:
            if error.status == 404:
                return Finding(what, "wrong", f"is not there in the namespace {self._namespace}: make it first", source)
            return Finding(what, "unknown", str(error), source)

    def _read_claim(self, placement: Placement) -> Any:
        read = self._kubernetes.core.read_namespaced_persistent_volume_claim
        return self._kubernetes.ask(read, placement.pvc, self._namespace)

    def _claim(self, placement: Placement) -> tuple[State, str]:
        claim = self._read_claim(placement)
        modes = claim.spec.access_modes or []
        kind = claim.spec.storage_class_name or "none"
        said = f"{placement.pvc} is {claim.status.phase}, {', '.join(modes)}, class {kind}"
        if placement.nodes > 1 and "ReadWriteMany" not in modes:
            return "wrong", f"{said}: {placement.nodes} nodes need one that is ReadWriteMany"
        if claim.status.phase == "Lost":
            return "wrong", f"{said}: its volume is gone, make the claim anew"
        return "ok", said

    def _storage_class(self, placement: Placement) -> tuple[State, str]:
        from kubernetes.client import StorageV1Api

        claim = self._read_claim(placement)
        name, phase = claim.spec.storage_class_name, claim.status.phase
        if not name and (phase == "Bound" or claim.spec.volume_name):
            return "ok", "none: the claim has a volume by name"
        if not name:
            return "unknown", f"none, and the claim is {phase}: somebody has to make a volume for it"
        try:
            found = self._kubernetes.ask(StorageV1Api(self._kubernetes.client).read_storage_class, name)
        except NoAnswerError as error:
            if error.status != 404:
                raise
            if phase == "Bound":
                return "ok", f"there is no {name} (any more), and a claim that is bound needs none"
            return "wrong", f"there is no {name}, so the claim stays {phase}: make it anew, of a class that is there"
        waits = found.volume_binding_mode == "WaitForFirstConsumer"
        return "ok", f"{name}, by {found.provisioner}{', when the first pod comes' if waits else ''}"

    def _secret(self, text: str) -> tuple[State, str]:
        name, keys, optional = parse_secret(text)
        kept = self._kubernetes.ask(self._kubernetes.core.read_namespaced_secret, name, self._namespace)
        there = sorted(key for key in keys if key in (kept.data or {}))
        missing = sorted(keys.keys() - set(there))
        if missing and (not optional or not there):
            return "wrong", f"lacks {', '.join(missing)}: pods would not start, or be told nothing"
        return "ok", f"has {', '.join(there)}"

    def _role(self) -> tuple[State, str]:
        remedy = "kubectl apply -f infra/kustomize/base/access.yaml"
        for verb in ("get", "create", "delete"):
            if not self._may(verb, PLURAL, GROUP):
                return "wrong", f"{self._account} may not {verb} {PLURAL}.{GROUP}: {remedy}"
        may = f"{self._account} may make {PLURAL}.{GROUP}"
        if not self._may("list", "events"):
            return "ok", f"{may}, but not list events: nodes that are refused would be waited for; {remedy}"
        return "ok", may

    def _may(self, verb: str, resource: str, group: str = "") -> bool:
        """Whether the account of the stages may."""
        from kubernetes import client

        attributes = {"group": group, "resource": resource, "verb": verb, "namespace": self._namespace}
        review = client.V1SubjectAccessReview(
            spec=client.V1SubjectAccessReviewSpec(
                user=f"system:serviceaccount:{self._namespace}:{self._account}",
                resource_attributes=client.V1ResourceAttributes(**attributes),
            )
        )
        asked = client.AuthorizationV1Api(self._kubernetes.client).create_subject_access_review
        return bool(self._kubernetes.ask(asked, review).status.allowed)

    def _dry_run(self, placement: Placement, account: str, gpus: int) -> tuple[State, str]:
        """Whether a pod like those of the stages, or like a node's, would be admitted."""
        kubernetes = self._kubernetes
        try:
            pod = _pod(placement, account, gpus)
            kubernetes.ask(kubernetes.core.create_namespaced_pod, self._namespace, pod, dry_run="All")
        except NoAnswerError as error:
            if error.status == 403 and "cannot create resource" in error.said:
                return "unknown", "needs the right to create pods: none is made, it is a dry run"
            if error.status in (400, 403, 404, 422):
                return "wrong", f"Kubernetes would refuse them: {error.said}; {ADMISSION_REMEDY}"
            raise
        asks = f"cpu {placement.cpu}, memory {placement.memory}, {gpus} of {placement.accelerator}"
        return "ok", f"would be admitted, with {asks} each; Argo's own containers come on top"

    def _quota(self, placement: Placement) -> tuple[State, str]:
        kubernetes = self._kubernetes
        quotas = kubernetes.ask(kubernetes.core.list_namespaced_resource_quota, self._namespace).items
        wanted = placement.gpus * placement.nodes
        for quota in quotas:
            limit = (quota.spec.hard or {}).get(f"requests.{placement.accelerator}")
            if limit is not None and int(limit) < wanted:
                return (
                    "wrong",
                    f"{quota.metadata.name} allows {limit} of {placement.accelerator}: ask for fewer than {wanted}",
                )
        names = ", ".join(quota.metadata.name for quota in quotas)
        asks = f"each pod asks for cpu {placement.cpu}, memory {placement.memory}"
        return "ok", f"{names}: {asks}; Argo's own containers need requests too" if names else f"none; {asks}"

    def _retry_policy(self) -> tuple[State, str]:
        kubernetes = self._kubernetes
        found = kubernetes.ask(kubernetes.core.read_namespaced_config_map, CONTROLLER, self._server)
        defaults = yaml.safe_load((found.data or {}).get("workflowDefaults") or "{}")
        policy = defaults
        for key in ("spec", "templateDefaults", "retryStrategy", "retryPolicy"):
            policy = policy.get(key) or {} if isinstance(policy, dict) else {}
        remedy = f"in {CONTROLLER} of {self._server}, workflowDefaults: {RETRY_LINE}"
        match policy:
            case "Always":
                return "ok", "Always: lost pods and those killed for memory are started again"
            case "OnError":
                return "ok", f"OnError: lost pods are started again, one killed for memory is not; for that, {remedy}"
            case _:
                return "wrong", f"{policy or 'none'}: a pod that is preempted ends the run; {remedy}"


def _pod(placement: Placement, account: str, gpus: int) -> dict[str, Any]:
    """As far as admission looks at it."""
    resources: dict[str, Any] = {"requests": {"cpu": placement.cpu, "memory": placement.memory}}
    if gpus:
        resources["limits"] = {placement.accelerator: str(gpus)}
    placed = gpus or not placement.gpus
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": "gan-pipeline-check-", "labels": {**OWN_LABELS, **pairs(placement.label)}},
        "spec": {
            "serviceAccountName": account,
            "restartPolicy": "Never",
            "securityContext": {"runAsNonRoot": True},
            "nodeSelector": pairs(placement.node_selector) if placed else {},
            "tolerations": [*map(parse_toleration, placement.toleration)] if placed else [],
            "imagePullSecrets": [{"name": name} for name in placement.pull_secret],
            "containers": [
                {"name": "main", "image": placement.image, "resources": resources, "securityContext": RESTRICTED}
            ],
        },
    }

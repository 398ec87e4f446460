"""The nodes of Argo's workflow behind a run, as far as Kubeflow tells of them, and the names of their pods.

Kubeflow says of some forty nodes, in no order, what each is called and the ids of its children, and of none its own id.
But an id is a hash of a node's path, such as `train-x7k(0).root(0).train-gan(0).executor(1)`, the second attempt at a
stage: so the paths that there are can be found from the root down, by the ids that somebody has as a child.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import count, takewhile
from typing import Any

_INNER = re.compile(
    r"|root|.*-driver|executor|.*\(\d+\)|(condition|condition-branches|for-loop|exit-handler)-\d+(\.onExit)?"
)
_POD = re.compile(r".*\.([^.()]+)(?:\(\d+\))?\.executor(?:\(\d+\))?")
_DOES = "executor"  # of a stage's nodes; once it is tried, those are its children
_OFFSET, _PRIME = 0x811C9DC5, 0x01000193  # of FNV-1a with 32 bits


class Nodes:
    """Of one run.

    Args:
        details: `task_details` of the run.
    """

    def __init__(self, details: Sequence[Any]) -> None:
        self._ids = {child.pod_name for each in details for child in each.child_tasks or []}
        self.workflow = next(iter(self._ids), "").rpartition("-")[0]
        names = {(each.display_name or "").partition("(")[0] for each in details}
        self._names = sorted({part for name in names for part in name.split(".")} - {""})
        self.stages = {each.display_name: each for each in details if self._is_stage(each.display_name or "")}
        """What has begun, by the name of its component."""
        # That an executor was skipped is told with its time, and not with whose it is.
        self._skipped = {each.start_time for each in details if each.state == "SKIPPED" and each.display_name == _DOES}

    def _is_stage(self, name: str) -> bool:
        return bool(self.workflow) and name != self.workflow and not _INNER.fullmatch(name)

    def attempts(self) -> Mapping[str, Sequence[str]]:
        """The ids of the nodes of each stage's pods, attempt by attempt; none of a stage that the cache has done."""
        found: dict[str, list[str]] = {}
        level = [(self.workflow, fnv(self.workflow))] if self.workflow else []
        while level:
            below = []
            for path, mark in level:
                children = self._below(path, mark)
                if not children and (pod := _POD.fullmatch(path)):
                    ids = found.setdefault(pod[1], [])
                    begun = self.stages[pod[1]].start_time if pod[1] in self.stages else None
                    if not (path.endswith(_DOES) and begun in self._skipped):
                        ids.append(f"{self.workflow}-{mark}")
                below += children
            level = below
        return found

    def _below(self, path: str, mark: int) -> list[tuple[str, int]]:
        """With their hashes; a node that is tried again has children (0), (1), ..."""
        tries = takewhile(lambda each: self._is_there(each[1]), ((f"({n})", fnv(f"({n})", mark)) for n in count()))
        named = ((f".{name}", fnv(f".{name}", mark)) for name in self._names)
        return [(path + step, child) for step, child in (*tries, *named) if self._is_there(child)]

    def _is_there(self, mark: int) -> bool:
        return f"{self.workflow}-{mark}" in self._ids


def fnv(text: str, start: int = _OFFSET) -> int:
    """FNV-1a of 32 bits.

    Args:
        start: the hash of what comes before.

    >>> fnv("foobar") == fnv("bar", fnv("foo")) == 0xBF9CF968
    True
    """
    for byte in text.encode():
        start = (start ^ byte) * _PRIME & 0xFFFFFFFF
    return start


def pod_name(node: str, stage: str, pipeline: Any) -> str:
    """The name of a stage's pod: of its node's id, and of the template that Kubeflow's compiler makes for such stages.

    Args:
        pipeline: `pipeline_spec` of the run.
    """
    workflow, _, mark = node.rpartition("-")
    return f"{workflow}-{_template(stage, pipeline or {})}-{mark}"


def _template(stage: str, pipeline: Mapping[str, Any]) -> str:
    name = "system-container-impl"
    spec, platform = pipeline.get("pipeline_spec", pipeline), pipeline.get("platform_spec") or {}
    dags = [spec.get("root", {}), *spec.get("components", {}).values()]
    tasks = [dag.get("dag", {}).get("tasks", {}).get(stage) for dag in dags]
    task: Mapping[str, Any] = next(filter(None, tasks), {})
    if "retryPolicy" in task:
        name = f"retry-{name}"
    component = spec.get("components", {}).get(task.get("componentRef", {}).get("name"), {})
    executors = platform.get("platforms", {}).get("kubernetes", {}).get("deploymentSpec", {}).get("executors", {})
    metadata = executors.get(component.get("executorLabel"), {}).get("podMetadata")
    if metadata:
        name = f"metadata-{len(metadata.get('annotations', {}))}-{len(metadata.get('labels', {}))}-{name}"
    return name

"""Known traps of Kubeflow Pipelines, found in a compiled pipeline before it is sent anywhere."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

MAX_BYTES = 1_000_000  # Kubernetes refuses objects above 1.5 MB, and KFP puts the pipeline in one with other things
MAX_VALUE = 100_000  # of all arguments together: a stage's command line has them in one word of at most 128 KiB

_TYPES: Mapping[str, tuple[type, ...]] = {
    "STRING": (str,),
    "NUMBER_INTEGER": (int,),
    "NUMBER_DOUBLE": (int, float),
    "BOOLEAN": (bool,),
    "LIST": (list,),
    "STRUCT": (dict,),
}
_SECRET_NAME = re.compile(r"PASSWORD|PASSWD|SECRET|TOKEN|CREDENTIAL|ACCESS_?KEY|API_?KEY", re.IGNORECASE)
_SECRET_VALUE = re.compile(
    r"://[^/\s'\"@:]{1,100}:[^/\s'\"@]{1,100}@|-----BEGIN [A-Z ]*PRIVATE KEY|\bAKIA[0-9A-Z]{16}\b"
    r"|\bgh[pousr]_\w{36}|\bhf_\w{30}|\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.",
    re.IGNORECASE,
)


def lint(spec: Mapping[str, Any], platform: Mapping[str, Any], arguments: Mapping[str, Any]) -> list[str]:
    """One sentence for each trap; empty when there is none.

    Args:
        spec: the pipeline, as compiled.
        platform: its Kubernetes settings, as compiled.
        arguments: that it will be started with.
    """
    return [
        *_about_arguments(spec, arguments),
        *_about_executors(spec, platform),
        *_about_whole(spec, platform, arguments),
    ]


def _about_arguments(spec: Mapping[str, Any], arguments: Mapping[str, Any]) -> Iterator[str]:
    known = spec.get("root", {}).get("inputDefinitions", {}).get("parameters", {})
    for name in sorted(set(arguments) - set(known)):
        yield f"it has no parameter {name!r} (it has {', '.join(sorted(known))})"
    for name, definition in sorted(known.items()):
        given = arguments.get(name)
        if given is None:
            # KFP takes a None for a value that is there, and the stage fails on it.
            if name in arguments or not ("defaultValue" in definition or definition.get("isOptional")):
                yield f"its parameter {name!r} has no value"
            continue
        wanted = _TYPES.get(definition["parameterType"], (object,))
        if not isinstance(given, wanted) or (isinstance(given, bool) and bool not in wanted):
            yield f"its parameter {name!r} is of type {definition['parameterType']}, not {type(given).__name__}"
        elif len(json.dumps(given)) > MAX_VALUE:
            yield f"the value of its parameter {name!r} is longer than {MAX_VALUE // 1000} kB"
    sizes = [len(json.dumps(given)) for given in arguments.values()]
    if max(sizes, default=0) <= MAX_VALUE < sum(sizes):
        most = MAX_VALUE // 1000
        yield f"its arguments are {sum(sizes) // 1000} kB together, and a stage's command line takes {most}"


def _about_executors(spec: Mapping[str, Any], platform: Mapping[str, Any]) -> Iterator[str]:
    settings = platform.get("platforms", {}).get("kubernetes", {}).get("deploymentSpec", {}).get("executors", {})
    components = spec.get("components", {})
    retried = {
        components[task["componentRef"]["name"]].get("executorLabel")
        for graph in (spec.get("root", {}), *components.values())
        for task in graph.get("dag", {}).get("tasks", {}).values()
        if task.get("retryPolicy", {}).get("maxRetryCount")
    }
    images: dict[str, list[str]] = {}
    for label, executor in spec.get("deploymentSpec", {}).get("executors", {}).items():
        container = executor.get("container")
        if container is None:
            continue
        placed, stage = settings.get(label, {}), label.removeprefix("exec-")
        shm = any(mount.get("mountPath") == "/dev/shm" for mount in placed.get("emptyDirMounts", []))
        images.setdefault(container.get("image", ""), []).append(stage)
        if "pip install" in " ".join([*container.get("command", []), *container.get("args", [])]):
            yield f"{stage} installs packages at run time: put them into the image, and set install_kfp_package=False"
        for variable in container.get("env", []):
            if variable.get("value") and _SECRET_NAME.search(variable["name"]):
                yield f"{stage} carries the value of {variable['name']}: give it by --secret"
        if container.get("resources", {}).get("accelerator") and not shm:
            yield f"{stage} has a GPU and 64 MB of /dev/shm, which data loaders overflow: mount one in memory"
        if label in retried and not placed.get("pvcMount"):
            yield f"{stage} is retried and would start over each time: give --pvc, or retries = 0"
    for image, stages in images.items():
        yield from _about_image(", ".join(stages), image)


def _about_image(stages: str, image: str) -> Iterator[str]:
    name, _, digest = image.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    if not image or name.startswith("python:"):
        yield f"there is no image of this project for {stages}: give --image"
    elif not digest and tag in ("", "latest"):
        yield f"{image} may be another image tomorrow ({stages}): give --image-digest, or a tag of its own"


def _about_whole(spec: Mapping[str, Any], platform: Mapping[str, Any], arguments: Mapping[str, Any]) -> Iterator[str]:
    text = json.dumps([spec, platform, arguments])
    if len(text) > MAX_BYTES:
        yield f"it has {len(text) // 1000} kB, and Kubernetes takes no more than {MAX_BYTES // 1000}"
    if _SECRET_VALUE.search(text):
        yield "it holds what looks like a login or a key: put that into a Kubernetes secret and name it by --secret"

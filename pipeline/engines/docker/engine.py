"""Runs the training pipeline in containers on this machine: which images, folders, network and devices each stage gets.

The command line and the process that holds kfp are those of `pipeline.engines.local`, with containers in the place of
the stages' processes. Work directory, cache and data have the same paths inside as outside, so events, journals and
checkpoints are where they always are, and either engine continues what the other has begun. What the stages send to
MLflow is sent by the command line, so no stage needs a network but the one that downloads.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from components.context import RunContext
from components.redaction import redact
from components.stage.progress import EVENTS_VARIABLE
from components.stage.stopping import PARENT_VARIABLE, STANDARD_INPUT
from gan_models.data.sources import parse_source
from gan_models.errors import RequestError, home_path
from gan_models.metrics.locations import CACHE_VARIABLE, default_cache
from pipeline.definitions.stages import STAGES, Stage
from pipeline.engines.docker.containers import LABEL, ContainerOptions, StageContainers, StageOptions, remove
from pipeline.engines.local.engine import run_with_kfp
from pipeline.engines.protocol import Engine, Job, Launch, Outcome
from pipeline.versions import code_version, package_version
from pipeline.workdir import WorkDirectory

if TYPE_CHECKING:
    from docker import DockerClient

VERSION_LABEL = "org.opencontainers.image.version"
LEFTOVER_SECONDS = 30
_PASSED_ON = ("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES")
_LOGINS = ("AWS_", "FSSPEC_", "GOOGLE_", "HF_TOKEN", "HF_ENDPOINT")
"""How variables begin by which object stores and hubs are told who asks."""
_LOGIN_FILES = ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE", "GOOGLE_APPLICATION_CREDENTIALS")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")


@dataclass(frozen=True)
class StageImages:
    """What the stages are run in."""

    cpu: str
    gpu: str  # holds torch
    devices: bool = False  # whether containers can be given GPUs
    user: str = ""  # `uid:gid` for what the stages write to belong to the caller
    security: list[str] = field(default_factory=list)

    def run(self, job: Job) -> Outcome:
        """Runs a pipeline to its end; no container that is labelled with its work directory outlives that."""
        cache = home_path(default_cache()).absolute()
        cache.mkdir(parents=True, exist_ok=True)
        options = ContainerOptions(
            stages={name: self.options_of(stage, job.arguments) for name, stage in STAGES.items()},
            workdir=job.workdir.root,
            cache=cache,
            events=job.workdir.events,
            user=self.user,
            groups=sorted(os.getgroups()),
            environment=_environment(job.context, job.workdir, cache),
            security=self.security,
        )
        with closing(_client()) as client:
            _remove_leftovers(client, job.workdir.root)
            try:
                return run_with_kfp(job, StageContainers, options.model_dump(mode="json"))
            finally:
                _remove_leftovers(client, job.workdir.root, seconds=0)

    def options_of(self, stage: Stage, arguments: Mapping[str, str | int | bool]) -> StageOptions:
        """What the container of a stage is given, in a pipeline of these arguments."""
        data = json.loads(str(arguments.get("data", "{}")))
        away = isinstance(data.get("grow"), str)  # the table: whatever stage is given it reads it there
        read, torch, network = [], stage.gpus != "none", stage.network or away
        if stage.reads_source:
            source = parse_source(data["source"])
            read += [source.path] if source.path else []
            network = network or source.needs_network
            torch = torch or source.known.needs_network  # what downloads needs torch, too
        elif weights := json.loads(str(arguments["evaluation"]))["inception_weights"]:
            read.append(Path(weights))
        if network and (stage.reads_source or away):
            files = [Path(os.environ[name]) for name in _LOGIN_FILES if os.environ.get(name)]
            read += [file for file in files if file.is_file()]
        return StageOptions(
            image=self.gpu if torch else self.cpu,
            network=network,
            gpus=self.devices and stage.gpus != "none",
            read_only={path.absolute(): path.resolve() for path in read},
            environment={name: os.environ[name] for name in _PROXIES if network and name in os.environ},
            inherited=sorted(name for name in os.environ if network and name.startswith(_LOGINS)),
            resumes=stage.resumes,
        )


class DockerEngine(Engine):
    """Stages are containers of this machine, from images that hold the code of this command line."""

    def ready(self, image: str | None) -> Launch:
        """`image`: else those of `make images`. RequestError: no engine, no such image, or one of other code."""
        release = package_version()
        cpu, gpu = (image, image) if image else (f"gan-pipeline-cpu:{release}", f"gan-pipeline-gpu:{release}")
        with closing(_client()) as client:
            for name in dict.fromkeys((cpu, gpu)):
                _check_image(client, name)
            about = client.info()
        options = about.get("SecurityOptions") or []
        rootless = any("name=rootless" in option for option in options)
        images = StageImages(
            cpu,
            gpu,
            devices="nvidia" in (about.get("Runtimes") or {}),
            # A rootless engine's root is its owner; any other number would be somebody else's outside.
            user="0:0" if rootless else f"{os.getuid()}:{os.getgid()}",
            security=["no-new-privileges", *(["label=disable"] if "name=selinux" in options else [])],
        )
        return images.run


DOCKER = DockerEngine()


def _client() -> DockerClient:
    import docker
    from docker.errors import DockerException

    try:
        client = docker.from_env()
        client.ping()
        return client
    except DockerException as error:
        where = os.environ.get("DOCKER_HOST") or "its usual socket"
        raise RequestError(
            f"--engine docker: no Docker engine answers at {where} ({' '.join(str(error).split())}): start it, set "
            "DOCKER_HOST, or leave --engine out"
        ) from None


def _check_image(client: DockerClient, name: str) -> None:
    from docker.errors import ImageNotFound

    try:
        labels = client.images.get(name).labels
    except ImageNotFound:
        raise RequestError(
            f"the Docker engine has no image {name}: build it with `make images`, or name another with --image"
        ) from None
    held, ours = labels.get(VERSION_LABEL, ""), code_version()
    if held != ours:
        raise RequestError(
            f"image {name} holds version {held or 'unknown'} of the code and this command is {ours}: build it again "
            "with `make images`, or name another with --image"
        )


def _environment(context: RunContext, workdir: WorkDirectory, cache: Path) -> dict[str, str]:
    # Stages need to know that they are tracked, not how to log in: the command line sends what they journal.
    told = context.model_copy(update={"tracking_uri": redact(context.tracking_uri)})
    return {
        **{name: os.environ[name] for name in _PASSED_ON if name in os.environ},
        **told.to_environment(),
        EVENTS_VARIABLE: str(workdir.events),
        PARENT_VARIABLE: STANDARD_INPUT,
        CACHE_VARIABLE: str(cache),
        "PYTHONUNBUFFERED": "1",
    }


def _remove_leftovers(client: DockerClient, root: Path, seconds: int = LEFTOVER_SECONDS) -> None:
    """Removes the containers of a work directory, whose lock the caller holds.

    One that a killed command line has left running has noticed and is saving: it gets `seconds` for that.
    """
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    ours = {"label": f"{LABEL}={root}"}
    for container in client.containers.list(all=True, filters=ours, ignore_removed=True):
        with suppress(DockerException, RequestException):
            if seconds and container.status == "running":
                container.wait(timeout=seconds)
        remove(container)

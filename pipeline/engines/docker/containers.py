"""Containers for the stages, made by the process that holds kfp in place of kfp's own way of running them.

kfp's Docker runner gives every stage the same options, and lets the engine remove a container the moment it ends: one
that has gone by the time its exit status is asked for counts as a success. Here a container is kept until its status
is known, each stage gets the image, network, folders and devices that it needs, and a stage that ended well but left
its outputs out has failed.

A stage's standard input is the line to it: as long as this process holds it, the stage goes on; when it is closed, by
`StageContainers.stop` or because this process has died in whatever way, the stage saves what it has and ends.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from components.stage.progress import EventLog, EventReader

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container
    from docker.types import Mount
    from kfp.local.config import LocalRunnerType

LABEL = "gan-pipeline.workdir"  # on every container: the work directory that it belongs to
SHARED_MEMORY = "1g"  # the engine's own 64 MB are too little for processes that pass tensors to each other
STOPPED = 3  # the exit code of what was asked to stop
KILLED = 137  # that of SIGKILL
ATTEMPTS = 4
OUT_OF_MEMORY = "ran out of memory"


class StageOptions(BaseModel):
    """What one stage's container is given beyond what all of them are."""

    image: str
    network: bool = False
    gpus: bool = False
    read_only: dict[Path, Path] = {}
    """Files and folders of this machine, by the path under which the stage looks for them."""
    environment: dict[str, str] = {}
    inherited: list[str] = []
    """Names of variables that it gets as they are here: their values are written nowhere."""
    resumes: bool = False
    """It goes on from its last checkpoint: when its container is killed, by whomever, it gets another one."""


class ContainerOptions(BaseModel):
    """How the containers of a run are made."""

    stages: dict[str, StageOptions]  # by the name of the stage's function
    workdir: Path
    cache: Path
    events: Path
    user: str  # `uid:gid`; what the stages write belongs to it
    groups: list[int]
    environment: dict[str, str]
    security: list[str]


class StageContainers:
    """Runs one container after the other, until it is told to stop: a `Stages` with `ContainerOptions`."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = ContainerOptions.model_validate(options)
        self._stopping = False
        self._line: socket.socket | None = None

    def runner(self) -> LocalRunnerType:
        """Puts `run` in the place of kfp's own function."""
        from kfp.local import DockerRunner, docker_task_handler

        docker_task_handler.run_docker_container = self.run
        return DockerRunner()

    def stop(self) -> None:
        self._stopping = True
        if self._line is not None:
            with suppress(OSError):
                self._line.shutdown(socket.SHUT_RDWR)

    def run(
        self, client: DockerClient, image: str, command: Sequence[str], volumes: dict[str, Any], **_: object
    ) -> int:
        """Runs one stage to its end, its output printed here; kfp's name for the image is not used.

        Returns:
            The exit code; other than 0 whenever anything at all went wrong.
        """
        stage = _argument(command, "--function_to_execute")
        if self._stopping:
            return STOPPED
        if stage not in self._options.stages:
            raise RuntimeError(f"the engine knows no container for a stage {stage!r}")
        for attempt in range(1, ATTEMPTS + 1):
            code, reason = self._run_once(client, stage, command, volumes)
            killed = code == KILLED and OUT_OF_MEMORY not in reason
            if not self._options.stages[stage].resumes or not killed or self._stopping or attempt == ATTEMPTS:
                break
            said = f"its container {reason}: going on from the last checkpoint in another one"
            EventLog(self._options.events, stage).write("note", text=said)
        if code:
            print(f"the container of {stage} {reason}", flush=True)  # noqa: T201  (standard output is the log)
            self._report(stage, reason)
        return code

    def _run_once(
        self, client: DockerClient, stage: str, command: Sequence[str], volumes: dict[str, Any]
    ) -> tuple[int, str]:
        try:
            container = self._create(client, stage, command, volumes)
            try:
                code, reason = self._attend(container), ""
                if code:
                    reason = _reason(container, code)
                elif missing := missing_outputs(command):
                    code, reason = 1, f"ended well, but {missing} is not there"
            finally:
                remove(container)
        except Exception as error:  # the engine has gone, or somebody removed the container while it ran
            code, reason = 1, f"was lost ({' '.join(str(error).split())})"
        return code, reason

    def _create(self, client: DockerClient, stage: str, command: Sequence[str], volumes: dict[str, Any]) -> Container:
        from docker.types import DeviceRequest

        common, own = self._options, self._options.stages[stage]
        return client.containers.create(
            own.image,
            list(command),
            user=common.user,
            group_add=common.groups,
            environment=common.environment
            | own.environment
            | {name: os.environ[name] for name in own.inherited if name in os.environ},
            labels={LABEL: str(common.workdir)},
            mounts=_mounts(common, own, volumes),
            network_mode=None if own.network else "none",
            device_requests=[DeviceRequest(count=-1, capabilities=[["gpu"]])] if own.gpus else None,
            security_opt=common.security,
            shm_size=SHARED_MEMORY,
            stdin_open=True,
        )

    def _attend(self, container: Container) -> int:
        """Starts a container and stays with it; its exit code, asked for while the engine still knows it."""
        raw = container.attach_socket(params={"stdin": 1, "stream": 1})
        self._line = socket.socket(fileno=os.dup(raw.fileno()))
        try:
            container.start()
            if self._stopping:
                self.stop()
            for chunk in container.logs(stream=True, follow=True):
                print(chunk.decode(errors="replace"), end="", flush=True)  # noqa: T201
            return int(container.wait()["StatusCode"])
        finally:
            line, self._line = self._line, None
            line.close()
            raw.close()

    def _report(self, stage: str, reason: str) -> None:
        """Tells the command line, unless the stage has said itself what was wrong."""
        said = [event for event in EventReader(self._options.events).read() if event["stage"] == stage]
        if not any(event["kind"] == "error" for event in said):
            sentence = f"its container {reason}; the same command continues"
            log = str(self._options.workdir / "logs" / "pipeline.log")
            EventLog(self._options.events, stage).write("error", sentence=sentence, exit_code=1, log=log)


def missing_outputs(command: Sequence[str]) -> str:
    """The first output that a stage which ended well has not written; empty when all are there."""
    outputs = json.loads(_argument(command, "--executor_input"))["outputs"]
    artifacts = outputs.get("artifacts", {}).values()
    places = [outputs["outputFile"], *(artifact["uri"] for each in artifacts for artifact in each["artifacts"])]
    return next((place for place in places if not Path(place).exists()), "")


def _mounts(common: ContainerOptions, own: StageOptions, volumes: dict[str, Any]) -> list[Mount]:
    """kfp's own volumes, then every folder under the path that it has on this machine."""
    from docker.types import Mount

    kept = {volume["bind"]: source for source, volume in volumes.items()}
    kept |= {str(folder): str(folder) for folder in (common.workdir, common.cache)}
    written = [Mount(place, source, type="bind") for place, source in kept.items()]
    read = [Mount(str(place), str(source), type="bind", read_only=True) for place, source in own.read_only.items()]
    return written + read


def _argument(command: Sequence[str], name: str) -> str:
    """The value that follows `name` in a stage's command line."""
    return command[list(command).index(name) + 1]


def _reason(container: Container, code: int) -> str:
    container.reload()
    if container.attrs["State"].get("OOMKilled"):
        return f"{OUT_OF_MEMORY}: use a smaller data.size, training.batch_size or number of samples, or a larger limit"
    said = container.attrs["State"].get("Error") or {137: "it was killed", 143: "it was told to end"}.get(code, "")
    return f"ended with exit code {code}" + (f" ({said})" if said else "")


def remove(container: Container) -> None:
    from docker.errors import DockerException

    with suppress(DockerException):  # somebody else has done it
        container.remove(force=True, v=True)

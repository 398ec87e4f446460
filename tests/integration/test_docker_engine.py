"""The pipeline in real containers: the same results, no network, the caller's files, no failure taken for success."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docker
import pytest
import yaml

from components.stage.progress import EventReader
from components.stage.stopping import PARENT_VARIABLE, STANDARD_INPUT
from pipeline.engines.docker.containers import LABEL, ContainerOptions, StageContainers, StageOptions
from pipeline.versions import code_version
from tests.extending import CONTAINERFILE, examples, install

REPO = Path(__file__).parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]  # the first one builds the images

STAGES = ["prepare_data", "train_gan", "select_checkpoint", "evaluate_gan", "export_samples"]
SETTINGS = [
    "data.size=8",
    "networks.generator.width=8",
    "networks.discriminator.width=8",
    "training.steps=60",
    "training.tick=20",
    "training.batch_size=16",
    "training.keep=3",
    "training.threads=1",
    "training.checkpoint_seconds=0",
    "selection.samples=50",
    "evaluation.samples=100",
    "export.samples=8",
]
OVERRIDES = [word for setting in SETTINGS for word in ("--set", setting)]


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-P", "-c", "from pipeline.cli import main; main()", "run", *map(str, arguments)]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    cache = tmp_path_factory.mktemp("cache")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    return {**kept, "GAN_PIPELINE_CACHE": str(cache), "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def go(environment: dict[str, str]) -> Callable[..., dict[str, Any]]:
    def go(workdir: Path, *arguments: str, code: int = 0) -> dict[str, Any]:
        words = command("--data", "digits", "--workdir", workdir, "--json", *OVERRIDES, *arguments)
        done = subprocess.run(words, capture_output=True, text=True, env=environment, check=False)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return report

    return go


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def contained(images: dict[str, str], go: Callable[..., dict[str, Any]], store: Path) -> dict[str, Any]:
    """The run in containers that the others are compared with."""
    return go(store / "contained", "--engine", "docker")


def weights(workdir: Path) -> str:
    return hashlib.sha256((workdir / "results/samples/generator.safetensors").read_bytes()).hexdigest()


def containers_of(client: docker.DockerClient, workdir: Path) -> list[Any]:
    found: list[Any] = client.containers.list(all=True, filters={"label": f"{LABEL}={workdir}"}, ignore_removed=True)
    return found


def picture(store: Path, run_id: str) -> dict[str, Any]:
    """What MLflow shows of a run, by stage: all that does not differ from one run to the next."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{store / 'mlflow.db'}")
    (experiment,) = [each for each in client.search_experiments() if each.name == "gan-pipeline"]
    runs = client.search_runs([experiment.experiment_id], f"tags.`gan_pipeline.run_id` = '{run_id}'")
    return {
        run.data.tags["gan_pipeline.stage"]: {
            "status": run.info.status,
            "params": run.data.params,
            "metrics": {name for name in run.data.metrics if not name.startswith("system/")},
            "tags": {name for name in run.data.tags if not name.startswith(("environment.", "git.", "mlflow."))},
            "artifacts": sorted(each.path for each in client.list_artifacts(run.info.run_id)),
            "inputs": sorted(each.dataset.digest for each in run.inputs.dataset_inputs),
        }
        for run in runs
    }


# -- the images -----------------------------------------------------------------------------------------------------


def test_an_image_says_what_it_holds(docker_client: docker.DockerClient, images: dict[str, str]) -> None:
    for name in images.values():
        labels = docker_client.images.get(name).labels
        assert labels["org.opencontainers.image.version"] == code_version()
        assert labels["org.opencontainers.image.revision"]


def test_an_image_works_as_any_user_without_network(docker_client: docker.DockerClient, images: dict[str, str]) -> None:
    program = 'id -u && gan-pipeline version && touch "$HOME/mine" && python3 -c "import getpass; getpass.getuser()"'
    for name in images.values():
        said = docker_client.containers.run(
            name, ["sh", "-ec", program], user="54321:54321", network_mode="none", remove=True
        )
        assert said.decode().splitlines() == ["54321", f"gan-pipeline {code_version()}"]


def test_an_image_holds_no_build_tools_and_no_address(
    docker_client: docker.DockerClient, images: dict[str, str]
) -> None:
    for name in images.values():
        image = docker_client.images.get(name)
        written = json.dumps([image.attrs["Config"], image.history()])
        assert not any(word in written for word in ("://", "PIP_", "index-url", "password"))
        program = "! python3 -m pip --version && ! python3 -c 'import setuptools' && ! which gcc cc make"
        docker_client.containers.run(name, ["sh", "-ec", program], network_mode="none", remove=True)


def test_the_small_image_has_no_torch(docker_client: docker.DockerClient, images: dict[str, str]) -> None:
    sizes = {target: docker_client.images.get(name).attrs["Size"] for target, name in images.items()}
    assert sizes["cpu"] < 1.5e9 < sizes["gpu"]


@pytest.mark.parametrize("name", ["mlflow", "scheduler"])
def test_a_service_needs_no_more_than_the_compose_file_gives_it(
    docker_client: docker.DockerClient, images: dict[str, str], name: str
) -> None:
    service = yaml.safe_load((REPO / "infra/compose.yaml").read_text())["services"][name]
    volumes = [volume.split(":") for volume in service["volumes"] if not volume.startswith("$")]
    container = docker_client.containers.run(
        images[service["image"].partition(":")[0].removeprefix("gan-pipeline-")],
        service["command"],
        environment={**service["environment"], "MLFLOW_BACKEND_STORE_URI": "sqlite:////artifacts/mlflow.db"},
        read_only=service["read_only"],
        cap_drop=service["cap_drop"],
        security_opt=service["security_opt"],
        tmpfs=dict.fromkeys(service["tmpfs"], ""),
        volumes={f"{name}-{volume}": {"bind": path} for volume, path in volumes},
        working_dir=service.get("working_dir"),
        network_mode="none",
        detach=True,
    )

    def is_ready() -> bool:
        if "healthcheck" in service:
            return bool(container.exec_run(service["healthcheck"]["test"][1:]).exit_code == 0)
        return b"serving" in container.logs()

    try:
        end = time.monotonic() + 300
        while not is_ready():
            container.reload()
            assert container.status == "running", container.logs().decode()
            assert time.monotonic() < end, container.logs().decode()
            time.sleep(1)
    finally:
        container.remove(force=True, v=True)


# -- a run ----------------------------------------------------------------------------------------------------------


def test_five_stages_give_what_processes_give(
    contained: dict[str, Any], go: Callable[..., dict[str, Any]], store: Path
) -> None:
    local = go(store / "local")
    assert set(contained["artifacts"]) == set(local["artifacts"])
    assert weights(store / "contained") == weights(store / "local")
    assert contained["metrics"] == pytest.approx(local["metrics"], rel=1e-4)
    ours, theirs = picture(store, contained["run_id"]), picture(store, local["run_id"])
    assert set(ours) == {"pipeline", *STAGES}
    assert ours == theirs


def test_the_training_container_is_killed_and_the_run_goes_on(
    contained: dict[str, Any], docker_client: docker.DockerClient, go: Callable[..., dict[str, Any]], store: Path
) -> None:
    workdir = store / "killed"
    killer = threading.Thread(target=_kill_training, args=(docker_client, workdir))
    killer.start()
    go(workdir, "--engine", "docker", "--set", "training.tick=1")
    killer.join()
    assert not containers_of(docker_client, workdir)
    notes = [event.get("text", "") for event in EventReader(workdir / "logs/events.jsonl").read()]
    assert any("exit code 137 (it was killed): going on from the last checkpoint" in note for note in notes)
    assert any("going on from the checkpoint of step" in note for note in notes)
    assert weights(workdir) == weights(store / "contained")


def _kill_training(client: docker.DockerClient, workdir: Path) -> None:
    wait_for(lambda: len(list(workdir.glob("training/*/checkpoints/*"))) > 1)
    for container in containers_of(client, workdir):
        container.kill()


def read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def wait_for(condition: Callable[[], Any], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.05)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 3), (signal.SIGKILL, -9)])
def test_a_run_that_was_cut_off_leaves_no_container_and_continues(
    contained: dict[str, Any],
    docker_client: docker.DockerClient,
    go: Callable[..., dict[str, Any]],
    environment: dict[str, str],
    store: Path,
    number: signal.Signals,
    code: int,
) -> None:
    workdir = store / f"cut-off-by-{number.name.lower()}"
    settings = ["--engine", "docker", "--set", "training.steps=2000", "--set", "training.checkpoint_seconds=1000"]
    process = subprocess.Popen(
        command("--data", "digits", "--workdir", workdir, *OVERRIDES, *settings),
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_for(lambda: "G/loss" in read(workdir / "logs/events.jsonl"))
    process.send_signal(number)
    assert process.wait(timeout=60) == code
    wait_for(lambda: not containers_of(docker_client, workdir), seconds=60)
    assert list(workdir.glob("training/*/checkpoints/*")), "it had the time to save what it had"
    assert "interrupted at step" in read(workdir / "logs/events.jsonl")


# -- failures -------------------------------------------------------------------------------------------------------


@pytest.fixture
def options(images: dict[str, str], tmp_path: Path) -> ContainerOptions:
    """Containers that run as somebody else, so that it shows whose the files are."""
    for folder in ("work", "cache"):
        (tmp_path / folder).mkdir(mode=0o777)
        (tmp_path / folder).chmod(0o777)
    return ContainerOptions(
        stages={
            "train_gan": StageOptions(image=images["cpu"], resumes=True),
            "evaluate_gan": StageOptions(image=images["cpu"]),
        },
        workdir=tmp_path / "work",
        cache=tmp_path / "cache",
        events=tmp_path / "work" / "events.jsonl",
        user="54321:54321",
        groups=[],
        environment={PARENT_VARIABLE: STANDARD_INPUT},
        security=["no-new-privileges"],
    )


def stage(program: str, workdir: Path, name: str = "evaluate_gan") -> list[str]:
    """A stage's command line, as kfp writes it, for a program of the shell."""
    outputs = {"outputFile": str(workdir / "out.json"), "artifacts": {}}
    arguments = ["--executor_input", json.dumps({"outputs": outputs}), "--function_to_execute", name]
    return ["sh", "-ec", program, "sh", *arguments]


def run(client: docker.DockerClient, options: ContainerOptions, program: str) -> int:
    return StageContainers(options.model_dump()).run(client, "unused", stage(program, options.workdir), {})


def test_what_a_stage_writes_belongs_to_the_caller(
    docker_client: docker.DockerClient, options: ContainerOptions
) -> None:
    assert run(docker_client, options, f"echo '{{}}' > {options.workdir}/out.json") == 0
    assert (options.workdir / "out.json").stat().st_uid == 54321
    assert not containers_of(docker_client, options.workdir)


def test_a_stage_has_no_network(docker_client: docker.DockerClient, options: ContainerOptions) -> None:
    program = f"ls /sys/class/net > {options.workdir}/out.json"
    assert run(docker_client, options, program) == 0
    assert (options.workdir / "out.json").read_text().split() == ["lo"]


def test_fifty_of_fifty_failures_are_failures(docker_client: docker.DockerClient, options: ContainerOptions) -> None:
    """However quickly a container fails, through kfp's own handler of tasks."""
    from kfp.local import DockerRunner, docker_task_handler
    from kfp.local.status import Status

    genuine = docker_task_handler.run_docker_container
    StageContainers(options.model_dump()).runner()
    try:
        handlers = [
            docker_task_handler.DockerTaskHandler(
                "unused", stage(f"exit {1 + number % 3}", options.workdir), str(options.workdir), DockerRunner()
            )
            for number in range(50)
        ]
        ends = [handler.run() for handler in handlers]
    finally:
        docker_task_handler.run_docker_container = genuine
    assert ends == [Status.FAILURE] * 50
    assert not containers_of(docker_client, options.workdir)


@pytest.mark.parametrize(
    ("program", "sentence"),
    [
        ("exit 7", "ended with exit code 7"),
        ("kill -9 $$; sleep 60 & kill -9 $!; exit 137", "ended with exit code 137 (it was killed)"),
        ("true", "ended well, but"),
        ("exec no-such-program", "ended with exit code 127"),
    ],
)
def test_a_failure_is_a_sentence(
    docker_client: docker.DockerClient, options: ContainerOptions, program: str, sentence: str
) -> None:
    assert run(docker_client, options, program) != 0
    (event,) = EventReader(options.events).read()
    assert (event["kind"], event["stage"], event["exit_code"]) == ("error", "evaluate_gan", 1)
    assert sentence in event["sentence"]


def test_a_training_that_is_killed_again_and_again_has_failed(
    docker_client: docker.DockerClient, options: ContainerOptions
) -> None:
    command = stage("exit 137", options.workdir, "train_gan")
    assert StageContainers(options.model_dump()).run(docker_client, "unused", command, {}) == 137
    *notes, error = EventReader(options.events).read()
    assert [note["kind"] for note in notes] == ["note"] * 3
    assert "going on from the last checkpoint" in notes[0]["text"]
    assert error["kind"] == "error"


def test_a_container_that_vanishes_has_failed(docker_client: docker.DockerClient, options: ContainerOptions) -> None:
    def remove() -> None:
        wait_for(lambda: any(each.status == "running" for each in containers_of(docker_client, options.workdir)))
        for container in containers_of(docker_client, options.workdir):
            container.remove(force=True)

    remover = threading.Thread(target=remove)
    remover.start()
    assert run(docker_client, options, "sleep 600") != 0
    remover.join()
    (event,) = EventReader(options.events).read()
    assert "its container" in event["sentence"]


def test_an_image_that_is_not_there_has_failed(docker_client: docker.DockerClient, options: ContainerOptions) -> None:
    options.stages["evaluate_gan"].image = "gan-pipeline-gpu:never-built"
    assert run(docker_client, options, "true") != 0
    (event,) = EventReader(options.events).read()
    assert "never-built" in event["sentence"]


def test_images_of_other_code_are_refused(
    images: dict[str, str], go: Callable[..., dict[str, Any]], docker_client: docker.DockerClient, tmp_path: Path
) -> None:
    assert "no image" in go(tmp_path / "a", "--engine", "docker", "--image", "never-built:1", code=2)["error"]
    assert not (tmp_path / "a").exists()


# -- packages that add something ------------------------------------------------------------------------------------


def test_a_package_gets_into_an_image_as_the_page_says(
    images: dict[str, str], environment: dict[str, str], tmp_path: Path
) -> None:
    packages = {"gan-hellinger": examples()["gan-hellinger"]}
    with_it = {**environment, "PYTHONPATH": str(install(packages, tmp_path))}
    wheel = ["-m", "pip", "wheel", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    source = tmp_path / "sources/gan-hellinger"
    subprocess.run([sys.executable, *wheel, "--wheel-dir", tmp_path / "context/packages", source], check=True)
    (tmp_path / "context/Containerfile").write_text(CONTAINERFILE)
    program = [sys.executable, "-P", "-c", "from pipeline.cli import main; main()"]
    said = subprocess.run([*program, "version"], capture_output=True, text=True, env=with_it, check=True).stdout
    arguments = ["--build-arg", f"BASE={images['gpu']}", "--build-arg", f"VERSION={said.split()[1]}"]
    build = [
        "docker",
        "build",
        "--network",
        "none",
        *arguments,
        "--file",
        "Containerfile",
        "--tag",
        "gan-pipeline-extended:1.0",
        ".",
    ]
    subprocess.run(build, cwd=tmp_path / "context", check=True, capture_output=True)
    words = ["--data", "digits", *OVERRIDES, "--set", "game.loss=hellinger", "--set", "training.steps=20"]
    place = ["--engine", "docker", "--workdir", tmp_path / "run"]
    refused = subprocess.run(command(*words, *place), capture_output=True, text=True, env=with_it)
    assert refused.returncode == 2
    assert "code" in refused.stderr
    done = subprocess.run(
        command(*words, *place, "--image", "gan-pipeline-extended:1.0"), capture_output=True, text=True, env=with_it
    )
    assert done.returncode == 0, done.stderr
    assert "✓ 5 export" in done.stderr

"""A second attempt at a training whose first one was killed, or lives on unheard: real stages in real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from components.context import RunContext
from components.lease import TERM_VARIABLE
from components.stage.failures import CLAIM_VARIABLE
from components.stage.stage import open_stage
from components.train_gan import step
from components.train_gan.supervisor import RESTARTS_VARIABLE
from gan_models.recipes import load_recipe, model_document
from gan_models.sampling.generator import load_generator

pytestmark = pytest.mark.slow

REPO = Path(__file__).parents[3]
TINY = [
    "training.steps=120", "training.tick=10", "training.keep=2", "training.threads=1", "training.batch_size=16",
    "training.checkpoint_seconds=0", "networks.generator.width=4", "networks.discriminator.width=4",
]  # fmt: skip
STAGE = """
import errno, fcntl, sys

if sys.argv[3] == "no locks":
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")
    fcntl.flock = refuse

from components.stage.stage import run_component
from components.train_gan import step

wanted = step.Request.model_validate_json(sys.argv[1])
run_component("train_gan", lambda stage: step.run(wanted, stage), run=sys.argv[2])
"""


def request(dataset: Path, state: Path, output: Path) -> step.Request:
    model = model_document(load_recipe("cgan-projection", TINY))
    return step.Request(model=model, dataset=dataset, output=output, state_dir=state, seed=0)


@pytest.fixture
def attempt(dataset: Path, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts one more attempt of one run, in a group of processes of its own."""
    started: list[subprocess.Popen[str]] = []
    state = tmp_path / "state"
    run = RunContext(run_id="night", state_dir=str(state), tracking_uri="http://127.0.0.1:9", relay="external")

    def begin(term: float, locks: str = "locks", restarts: str = "0") -> subprocess.Popen[str]:
        wanted = request(dataset, state, tmp_path / f"output-{len(started) + 1}")
        variables = {TERM_VARIABLE: str(term), CLAIM_VARIABLE: "gan-pipeline-work", RESTARTS_VARIABLE: restarts}
        command = [sys.executable, "-c", STAGE, wanted.model_dump_json(), run.model_dump_json(), locks]
        process = subprocess.Popen(
            command,
            cwd=REPO,
            env={**os.environ, **variables},
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert process.stderr is not None
        process.stderr.close()


@pytest.fixture(scope="module")
def expected(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    """Weights of a training that was left in peace."""
    folder = tmp_path_factory.mktemp("whole")
    with open_stage("train_gan", RunContext(state_dir=str(folder))) as stage:
        step.run(request(dataset, folder, folder / "output"), stage)
    return weights(folder / "output")


def weights(output: Path) -> dict[str, torch.Tensor]:
    return load_generator(output / "generators" / "step-000120").module.state_dict()


def at_work(process: subprocess.Popen[str], state: Path) -> None:
    """Waits until an attempt has written a checkpoint and a tick."""
    while not [*state.glob("training/*/checkpoints/step-0000002*")]:
        assert process.poll() is None
        time.sleep(0.005)


def content(state: Path) -> dict[str, bytes]:
    """Of all files but logs and what is not in its place yet."""
    paths = [path for path in state.rglob("*") if path.is_file() and "logs" not in path.parts]
    names = {path: str(path.relative_to(state)) for path in paths}
    return {name: path.read_bytes() for path, name in names.items() if "/." not in name}


@pytest.mark.parametrize(("locks", "term", "restarts"), [("locks", 100000, "3"), ("no locks", 2, "0")])
def test_after_a_kill_the_second_goes_on_with_the_same_result(
    attempt: Callable[..., subprocess.Popen[str]],
    tmp_path: Path,
    expected: dict[str, torch.Tensor],
    locks: str,
    term: float,
    restarts: str,
) -> None:
    """At once where the machine knows that the first is dead (the term is a day), else after its silence."""
    first = attempt(term, locks, restarts)
    at_work(first, tmp_path / "state")
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    second = attempt(term, locks, restarts)
    _, said = second.communicate()
    assert second.returncode == 0, said
    assert "going on from the checkpoint of step" in said
    found = weights(tmp_path / "output-2")
    assert all(torch.equal(expected[name], found[name]) for name in expected)


@pytest.mark.parametrize(("locks", "restarts"), [("locks", "3"), ("no locks", "0")])
def test_a_first_that_was_stopped_writes_nothing_when_it_lives_again(
    attempt: Callable[..., subprocess.Popen[str]],
    tmp_path: Path,
    expected: dict[str, torch.Tensor],
    locks: str,
    restarts: str,
) -> None:
    first = attempt(4, locks, restarts)
    at_work(first, tmp_path / "state")
    os.killpg(first.pid, signal.SIGSTOP)
    assert first.poll() is None
    second = attempt(4, locks, restarts)
    _, said = second.communicate()
    assert second.returncode == 0, said
    assert "waiting" in said
    found = weights(tmp_path / "output-2")
    assert all(torch.equal(expected[name], found[name]) for name in expected)

    before = content(tmp_path / "state")
    os.killpg(first.pid, signal.SIGCONT)
    _, said = first.communicate()
    assert first.returncode == 1, said
    assert "has gone to another attempt" in said.splitlines()[-1]
    assert content(tmp_path / "state") == before
    assert not (tmp_path / "output-1").exists()

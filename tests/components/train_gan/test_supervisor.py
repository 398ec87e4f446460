"""A training that is lost is started again from its checkpoint, in the stage's own pod."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from components.stage import stage as stage_module
from components.stage.failures import CLAIM_VARIABLE, Interrupted
from components.stage.stage import RunContext, Stage, open_stage
from components.train_gan import step, supervisor
from components.train_gan.supervisor import RESTARTS_VARIABLE, keep_training
from gan_models.errors import LostError, RequestError, RunError
from gan_models.recipes import load_recipe, model_document
from gan_models.training.loop import Stopped
from tests.components.train_gan.test_together import kill_a_rank_after, weights

REPO = Path(__file__).parents[3]
TINY = [
    "training.steps=40", "training.tick=10", "training.keep=2", "training.threads=1", "training.batch_size=16",
    "training.checkpoint_seconds=0", "networks.generator.width=4", "networks.discriminator.width=4",
]  # fmt: skip


class Told:
    def __init__(self) -> None:
        self.notes: list[str] = []
        self.stop = False

    def progress(self, step: int, figures: Any) -> None: ...
    def tick(self, step: int, metrics: Any, grid: Path) -> None: ...

    def note(self, sentence: str) -> None:
        self.notes.append(sentence)

    def stop_requested(self) -> bool:
        return self.stop


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "WAIT_SECONDS", 0.01)


def trying(*ends: Exception | int) -> Callable[[], Any]:
    """Each call is another end: an exception, or what is returned."""
    left = iter(ends)

    def train() -> Any:
        end = next(left)
        if isinstance(end, Exception):
            raise end
        return end

    return train


def test_it_goes_on_as_long_as_there_is_progress(tmp_path: Path) -> None:
    """Twelve losses, with two restarts in a row without a checkpoint."""
    told, calls = Told(), iter(range(100))

    def train() -> int:
        number = next(calls)
        if number == 12:
            return 40
        if number % 2:
            (tmp_path / f"step-{number:08d}").mkdir()
        raise LostError("killed")

    assert keep_training(train, tmp_path, 2, told) == 40
    assert len(told.notes) == 12
    assert told.notes[0] == "killed; started again from the beginning (1 of 2)"
    assert told.notes[3] == "killed; started again from step-00000003 (1 of 2)"


def test_without_a_new_checkpoint_there_is_a_limit(tmp_path: Path) -> None:
    told = Told()
    with pytest.raises(LostError, match="killed"):
        keep_training(trying(*[LostError("killed")] * 9), tmp_path, 3, told)
    assert len(told.notes) == 3


@pytest.mark.parametrize("end", [RequestError("no such key"), RunError("it diverged"), Stopped(7), Interrupted()])
def test_a_refusal_a_divergence_and_a_stop_are_ends(tmp_path: Path, end: Exception) -> None:
    with pytest.raises(type(end)):
        keep_training(trying(end, 40), tmp_path, 3, Told())


def test_a_stop_ends_the_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "WAIT_SECONDS", 60.0)
    told = Told()
    threading.Timer(0.3, lambda: setattr(told, "stop", True)).start()
    with pytest.raises(Interrupted):
        keep_training(trying(LostError("killed"), 40), tmp_path, 3, told)


def run(dataset: Path, folder: Path, *overrides: str) -> None:
    """The stage as a cluster starts it."""
    model = model_document(load_recipe("cgan-projection", [*TINY, *overrides]))
    wanted = step.Request(model=model, dataset=dataset, output=folder / "output", state_dir=folder, seed=0)
    with open_stage("train_gan", RunContext(state_dir=str(folder))) as stage:
        step.run(wanted, stage)


@pytest.fixture
def noted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What stages note, with three restarts allowed."""
    noted: list[str] = []
    monkeypatch.setattr(Stage, "note", lambda self, sentence: noted.append(sentence))
    monkeypatch.setenv(RESTARTS_VARIABLE, "3")
    return noted


@contextmanager
def held(folder: Path) -> Iterator[Callable[[], None]]:
    """Another process trains in the folder, until what is given is called."""
    place = str(folder / step.LEASE_FOLDER)
    code = (
        "from pathlib import Path; from components.lease import Lease; "
        f"print(Lease(Path({place!r}), 'it').take(), flush=True); input()"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=REPO)
    assert holder.stdout is not None
    holder.stdout.readline()
    try:
        yield holder.kill
    finally:
        holder.kill()
        holder.wait()


def test_a_second_attempt_waits_for_the_first(tmp_path: Path, noted: list[str]) -> None:
    with (
        held(tmp_path) as end,
        open_stage("train_gan", RunContext(state_dir=str(tmp_path))) as stage,
    ):
        threading.Timer(1.5, end).start()
        with step._only_here(tmp_path, stage):
            assert noted == [
                f"another process is training in {tmp_path}: waiting until it has ended, or was silent for 60 s"
            ]


def test_a_stop_ends_the_waiting_for_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Stage, "stop_requested", property(lambda _: True))
    with (
        held(tmp_path),
        open_stage("train_gan", RunContext(state_dir=str(tmp_path))) as stage,
        pytest.raises(Interrupted),
        step._only_here(tmp_path, stage),
    ):
        pass


@pytest.mark.parametrize(("claim", "kind"), [("gan-pipeline-work", RunError), ("", RequestError)])
def test_one_that_does_not_end_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, claim: str, kind: type[Exception]
) -> None:
    monkeypatch.setenv(CLAIM_VARIABLE, claim)
    monkeypatch.setattr(stage_module, "CLUSTER_PATIENCE_SECONDS", 0.1)
    for module in (stage_module, step):
        monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.05)
    with (
        held(tmp_path),
        open_stage("train_gan", RunContext(state_dir=str(tmp_path))) as stage,
        pytest.raises(kind, match="another process is training in"),
        step._only_here(tmp_path, stage),
    ):
        pass


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [1, 2])
def test_killed_it_ends_with_the_weights_of_one_left_in_peace(
    dataset: Path, tmp_path: Path, noted: list[str], ranks: int
) -> None:
    run(dataset, tmp_path / "whole", f"training.ranks={ranks}")
    folder = tmp_path / "killed"
    checkpoint = threading.Event()

    def kill() -> None:
        while not (found := [*folder.glob("training/*/checkpoints/step-0000001*")]):
            if checkpoint.wait(0.01):
                return
        kill_a_rank_after(found[0])

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        run(dataset, folder, f"training.ranks={ranks}")
    finally:
        checkpoint.set()
        killer.join()
    assert any("started again from step-" in sentence for sentence in noted), noted
    assert [path.name for path in folder.glob("training/*/lease/*")] == ["00000001"], "one holder, all the time"
    whole, killed = weights(tmp_path / "whole"), weights(folder)
    assert all(torch.equal(whole[name], killed[name]) for name in whole)


@pytest.mark.slow
def test_what_diverges_is_not_started_again(dataset: Path, tmp_path: Path, noted: list[str]) -> None:
    with pytest.raises(RunError, match="became nan") as ended:
        run(
            dataset,
            tmp_path,
            "optimizers.generator.lr=1e30",
            "optimizers.discriminator.lr=1e30",
            "training.on_nan=stop",
        )
    assert not isinstance(ended.value, LostError)
    assert not any("started again" in sentence for sentence in noted)

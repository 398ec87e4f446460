"""The training stage with several processes: started by torchrun, stopped, killed, continued."""

from __future__ import annotations

import contextlib
import threading
import time
from pathlib import Path

import psutil
import pytest
import torch

from components.artifacts import Training
from components.stage.stage import Interrupted, RunContext, Stage, open_stage
from components.train_gan import step
from gan_models.errors import RequestError, RunError
from gan_models.recipes import load_recipe, model_document
from gan_models.sampling.generator import load_generator

pytestmark = pytest.mark.slow

TINY = [
    "training.ranks=2", "training.steps=40", "training.tick=10", "training.keep=2", "training.threads=1",
    "training.batch_size=16", "training.checkpoint_seconds=0", "networks.generator.width=4",
    "networks.discriminator.width=4",
]  # fmt: skip


def run(dataset: Path, folder: Path, *overrides: str) -> Training:
    model = model_document(load_recipe("cgan-projection", [*TINY, *overrides]))
    wanted = step.Request(model=model, dataset=dataset, output=folder / "output", state_dir=folder, seed=0)
    with open_stage("train_gan", RunContext(state_dir=str(folder))) as stage:
        return step.run(wanted, stage)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_generator(folder / "output" / "generators" / "step-000040").module.state_dict()


def kill_a_rank_after(file: Path) -> None:
    """SIGKILL for one of this process's ranks, once a file is there."""
    while not file.exists():
        time.sleep(0.01)
    ranks = []
    for each in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # a process of an earlier test may be ending
            command = each.cmdline()
            if "components.train_gan.rank" in command and "torch.distributed.run" not in command:
                ranks.append(each)
    ranks[-1].kill()


def test_stopped_and_killed_it_ends_with_the_weights_of_one_left_in_peace(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = run(dataset, tmp_path / "whole")
    assert (result.steps, result.generators) == (40, 2)
    folder = tmp_path / "parts"
    with monkeypatch.context() as patch:
        patch.setattr(Stage, "stop_requested", property(lambda _: any(folder.rglob("step-00000005"))))
        with pytest.raises(Interrupted, match="interrupted at step"):
            run(dataset, folder)
    state = next((folder / "training").iterdir())
    killer = threading.Thread(target=kill_a_rank_after, args=(state / "checkpoints" / "step-00000020",))
    killer.start()
    try:
        with pytest.raises(RunError, match="a training process"):
            run(dataset, folder)
    finally:
        killer.join()
    run(dataset, folder)
    whole, parts = weights(tmp_path / "whole"), weights(folder)
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_a_request_that_processes_cannot_share_is_refused(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"training\.batch_size=15 .*training\.ranks=2"):
        run(dataset, tmp_path, "training.batch_size=15")

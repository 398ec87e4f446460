"""Training that starts from another generator: from its very weights, resumable, never taken for another one."""

from pathlib import Path

import pytest
import torch

from gan_models.data.table import Split, TableMetadata
from gan_models.errors import RequestError
from gan_models.games.base import build_game
from gan_models.recipes import load_recipe
from gan_models.sampling.generator import load_generator
from gan_models.training.loop import Stopped, train
from gan_models.training.warm_start import Start, begin_with, read_start

Digits = tuple[Split, TableMetadata]
TINY = ["training.batch_size=16", "training.tick=4", "training.keep=2", "training.threads=1", "training.steps=8"]
NARROW = ["networks.generator.width=4", "networks.discriminator.width=4"]


class Silent:
    def __init__(self, stop_after: int = 10**6) -> None:
        self.left = stop_after

    def progress(self, *_: object) -> None: ...

    def tick(self, *_: object) -> None: ...

    def note(self, *_: object) -> None: ...

    def stop_requested(self) -> bool:
        self.left -= 1
        return self.left < 0


def run(digits: Digits, folder: Path, start: Start | None = None, *, keep: bool = True, stop_after: int = 10**6):
    recipe = load_recipe("cgan-projection", [*TINY, *NARROW])
    device, reporter = torch.device("cpu"), Silent(stop_after)
    train(recipe, *digits, folder, seed=3, device=device, reporter=reporter, start=start, keep_discriminator=keep)
    return folder / "generators" / "step-000008"


@pytest.fixture(scope="module")
def champion(digits: Digits, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(digits, tmp_path_factory.mktemp("champion"))


def start_from(folder: Path, digits: Digits, name: str = "cgan-projection", *settings: str) -> Start:
    return read_start(folder, load_recipe(name, [*TINY, *NARROW, *settings]), digits[1])


def test_both_networks_begin_where_the_champion_was(champion: Path, digits: Digits) -> None:
    recipe = load_recipe("cgan-projection", [*TINY, *NARROW])
    game = build_game(recipe, digits[1].shape, torch.device("cpu"))
    start = start_from(champion, digits)
    assert start.discriminator is not None
    begin_with(start, game)
    weights = load_generator(champion).module.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in game.generator.state_dict().items())
    assert all(torch.equal(value, start.discriminator[name]) for name, value in game.discriminator.state_dict().items())


def test_it_ends_elsewhere_than_a_cold_start_and_resumes_bit_for_bit(
    champion: Path, digits: Digits, tmp_path: Path
) -> None:
    start = start_from(champion, digits)
    whole = run(digits, tmp_path / "whole", start)
    with pytest.raises(Stopped):
        run(digits, tmp_path / "parts", start, stop_after=5)
    parts = run(digits, tmp_path / "parts", start)
    expected, found = (load_generator(folder).module.state_dict() for folder in (whole, parts))
    cold = load_generator(champion).module.state_dict()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert any(not torch.equal(expected[name], cold[name]) for name in expected)


def test_a_checkpoint_of_another_start_is_never_resumed(champion: Path, digits: Digits, tmp_path: Path) -> None:
    run(digits, tmp_path)
    with pytest.raises(RequestError, match="belongs to another training"):
        run(digits, tmp_path, start_from(champion, digits))


def test_without_d_only_g_is_taken_over(digits: Digits, tmp_path: Path) -> None:
    assert start_from(run(digits, tmp_path, keep=False), digits).discriminator is None


@pytest.mark.parametrize(
    ("name", "setting"), [("cgan-projection", "networks.generator.width=8"), ("dcgan", "training.steps=8")]
)
def test_networks_of_other_shapes_are_refused(champion: Path, digits: Digits, name: str, setting: str) -> None:
    with pytest.raises(RequestError, match="was trained with other networks"):
        start_from(champion, digits, name, setting)

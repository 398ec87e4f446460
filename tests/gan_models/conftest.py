"""Real images small enough for unit tests, scikit-learn's 8x8 digits, and every recipe made small enough for them."""

import hashlib
import math
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import pytest
import torch
from sklearn.datasets import load_digits

from gan_models.data.shape import Size
from gan_models.data.table import Split, TableMetadata
from gan_models.errors import RequestError
from gan_models.families import FAMILIES
from gan_models.games.adversarial.spec import AdversarialSpec
from gan_models.recipes import Recipe, load_recipe, recipe_names
from gan_models.training.loop import Stopped, train

_ATTENTIVE = ("data.size=16", "networks.generator.attention=[8]", "networks.discriminator.attention=[8]")
SHRINK: dict[str, tuple[str, ...]] = {
    "biggan": _ATTENTIVE,
    "sagan": _ATTENTIVE,
    "wgan": ("game.critic_warm_up={first: 2, every: 5, steps: 2}",),
}
"""What makes a recipe small beyond a network width of 4 and the smallest size its networks can do. One entry more for
a recipe that needs it."""


@pytest.fixture(scope="session")
def digits() -> tuple[Split, TableMetadata]:
    data = load_digits()
    pixels = (data.images * (255 / 16)).round().astype("uint8")[..., None]
    metadata = TableMetadata(
        height=8,
        width=8,
        channels=1,
        class_names=tuple("0123456789"),
        counts={"train": {name: int((data.target == int(name)).sum()) for name in "0123456789"}},
        fingerprint=hashlib.sha256(pixels.tobytes()).hexdigest(),
        source="digits",
        options={},
    )
    labels = torch.from_numpy(data.target.astype("int64"))
    return Split(torch.from_numpy(pixels), labels, [str(index) for index in range(len(pixels))]), metadata


@cache
def small(name: str, *overrides: str) -> Recipe:
    """A built-in recipe with narrow networks, one thread, small batches, at the smallest size that it can do."""
    spec = load_recipe(name).networks
    narrow = []
    for player in ("generator", "discriminator"):
        fields = type(getattr(spec, player)).model_fields
        narrow += [
            f"networks.{player}.{key}={value}"
            for key, value in (("width", 4), ("widths", [8]), ("channel_max", 8), ("style", 16))
            if key in fields
        ]
    training = ["training.batch_size=16", "training.tick=4", "training.keep=2", "training.threads=1"]
    size = f"data.size={_smallest_size(spec.generator.family)}"
    return load_recipe(name, [size, *narrow, *training, "training.steps=12", *SHRINK.get(name, ()), *overrides])


def _smallest_size(family: str) -> int:
    made = FAMILIES[family].generator
    for size in range(8, 257):
        try:
            made().maps(Size.square(size))
        except RequestError:
            continue
        return size
    raise AssertionError(f"{family} takes no size up to 256")


def _draws_from_latents(name: str) -> bool:
    """Whether a recipe's generator is given latents (and labels): other families have a game made for them alone."""
    recipe = load_recipe(name)
    return isinstance(recipe.game, AdversarialSpec) or not FAMILIES[recipe.networks.generator.family].game


LATENT_RECIPES = [name for name in recipe_names() if _draws_from_latents(name)]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test with an argument `latent_recipe` runs for every recipe whose generator draws from latents."""
    if "latent_recipe" in metafunc.fixturenames:
        metafunc.parametrize("latent_recipe", LATENT_RECIPES)


@pytest.fixture(scope="session")
def small_recipe() -> Callable[..., Recipe]:
    """`small`: a built-in recipe's name and further overrides to the recipe made small."""
    return small


@pytest.fixture(scope="session")
def digits_for(digits: tuple[Split, TableMetadata]) -> Callable[[Recipe], tuple[Split, TableMetadata]]:
    """The digits at the size that a recipe is trained at."""
    split, metadata = digits

    @cache
    def resized(size: Size) -> tuple[Split, TableMetadata]:
        images = split.images[:512].permute(0, 3, 1, 2).float()
        images = torch.nn.functional.interpolate(images, size=tuple(size), mode="bilinear").round().to(torch.uint8)
        assert split.labels is not None
        larger = Split(images.permute(0, 2, 3, 1).contiguous(), split.labels[:512], split.paths[:512])
        return larger, metadata.model_copy(update={"height": size.height, "width": size.width})

    return lambda recipe: resized(recipe.data.size)


class _Recorder:
    """A reporter that remembers, and asks to stop after a given number of steps."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.ticks: list[tuple[int, dict[str, float]]] = []
        self.stop_after = stop_after
        self.asked = 0

    def progress(self, step: int, figures: Mapping[str, float]) -> None:
        pass

    def tick(self, step: int, metrics: Mapping[str, float], grid: Path) -> None:
        untimed = {name: value for name, value in metrics.items() if name not in ("images_per_second", "memory_gb")}
        assert all(math.isfinite(value) for value in untimed.values())
        self.ticks.append((step, untimed))

    def note(self, sentence: str) -> None:
        pass

    def stop_requested(self) -> bool:
        self.asked += 1
        return self.stop_after is not None and self.asked >= self.stop_after


@pytest.fixture
def assert_resumes(digits_for: Callable[[Recipe], tuple[Split, TableMetadata]]) -> Callable[[Recipe, Path], None]:
    """Trains a recipe whole (in `folder`/whole), and stopped half way and gone on (in `folder`/parts).

    The checkpoints must be equal bit for bit, and so must the reports, which must be finite.
    """

    def check(recipe: Recipe, folder: Path) -> None:
        data = digits_for(recipe)
        whole, part, rest = _Recorder(), _Recorder(stop_after=recipe.training.steps // 2 + 1), _Recorder()

        def run(name: str, reporter: _Recorder) -> None:
            train(recipe, *data, folder / name, seed=3, device=torch.device("cpu"), reporter=reporter)

        run("whole", whole)
        with pytest.raises(Stopped):
            run("parts", part)
        run("parts", rest)
        assert whole.ticks == part.ticks + rest.ticks
        expected, found = (_last_state(folder / name) for name in ("whole", "parts"))
        assert expected.keys() == found.keys()
        assert [key for key in expected if not torch.equal(expected[key], found[key])] == []

    return check


def _last_state(folder: Path) -> dict[str, torch.Tensor]:
    newest = sorted((folder / "checkpoints").iterdir())[-1]
    return _tensors(torch.load(newest / "state.pt", weights_only=True))


def _tensors(state: object, at: str = "") -> dict[str, torch.Tensor]:
    if isinstance(state, torch.Tensor):
        return {at: state}
    pairs = state.items() if isinstance(state, Mapping) else enumerate(state) if isinstance(state, list | tuple) else ()
    return {key: tensor for name, value in pairs for key, tensor in _tensors(value, f"{at}/{name}").items()}

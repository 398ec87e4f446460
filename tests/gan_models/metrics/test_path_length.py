"""Perceptual path length: of a linear generator it is known, and LPIPS is the published formula."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from gan_models.data.shape import DataShape
from gan_models.errors import RequestError
from gan_models.families.building import build_generator
from gan_models.metrics.extraction import FeatureExtractor
from gan_models.metrics.path_length import FeatureDistance, Lpips, path_length, slerp
from gan_models.recipes import Recipe
from gan_models.sampling.draws import Draws

LATENT, PATHS = 32, 400


class Pixels(FeatureExtractor):
    """The identity."""

    name, batch = "pixels", 100

    def __init__(self) -> None:
        super().__init__({}, "cpu")

    def forward(self, images: Tensor) -> tuple[Tensor, None]:
        return images.flatten(1) / 127.5, None


class Linear(torch.nn.Module):
    """z times a number, as an image 4 pixels wide and 8 high."""

    inputs, latent, num_classes, needs_examples = ("latents",), LATENT, 0, False

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def draw_inputs(self, draws: Draws) -> dict[str, Tensor]:
        return {"latents": draws.normal(LATENT)}

    def forward(self, latents: Tensor) -> Tensor:
        return (self.factor * latents).view(-1, 1, 8, 4)


def loaded(module: Any) -> Any:
    return SimpleNamespace(module=module, device=torch.device("cpu"), info=SimpleNamespace(recipe_name="linear"))


def speeds(seed: int) -> Tensor:
    """|dz/dt|^2 of the great circles that are drawn, by its formula."""
    draws = Draws(seed, PATHS)
    start, end, place = draws.normal(LATENT).double(), draws.normal(LATENT).double(), draws.uniform()[:, None].double()
    angle = F.cosine_similarity(start, end)[:, None].acos()
    along = ((place * angle).cos() * end - ((1 - place) * angle).cos() * start) * angle / angle.sin()
    return along.square().sum(dim=1)


@pytest.mark.parametrize("factor", [0.1, 1.0])
def test_of_a_linear_generator_it_is_the_speed_along_the_circle(factor: float) -> None:
    found = path_length(loaded(Linear(factor)), FeatureDistance(Pixels()), paths=PATHS, seed=3)
    every = factor**2 * speeds(3)
    kept = every.sort().values[3:-3]  # a hundredth on either end, and what is on the edge stays
    assert found.name == "path-length-pixels-400"
    assert found.value == pytest.approx(float(kept.mean()), rel=2e-3)
    assert found.std == pytest.approx(float(kept.std(correction=0)), rel=1e-2)
    # Latents are about at right angles, on a sphere of radius sqrt(Z).
    assert found.value == pytest.approx(factor**2 * LATENT * (torch.pi / 2) ** 2, rel=0.15)


def test_batches_change_nothing_and_seeds_do() -> None:
    generator, distance = loaded(Linear(1.0)), FeatureDistance(Pixels())
    found = [path_length(generator, distance, paths=50, seed=seed, batch_size=size) for seed, size in
             ((0, 50), (0, 7), (1, 50))]  # fmt: skip
    assert found[0].value == pytest.approx(found[1].value, rel=1e-9)
    assert found[0].value != pytest.approx(found[2].value, rel=1e-3)


def test_a_generator_that_never_changes_has_none_and_one_that_jumps_a_long_one() -> None:
    class Jumps(Linear):
        def forward(self, latents: Tensor) -> Tensor:
            return (300.0 * latents).tanh().view(-1, 1, 8, 4)

    distance = FeatureDistance(Pixels())
    assert path_length(loaded(Linear(0.0)), distance, paths=20, seed=0).value == 0.0
    smooth = path_length(loaded(Linear(1.0)), distance, paths=1000, seed=0)
    assert path_length(loaded(Jumps(1.0)), distance, paths=1000, seed=0).value > 10 * smooth.value


def test_the_length_in_w_is_along_a_line_from_its_beginning(small_recipe: Callable[..., Recipe]) -> None:
    recipe = small_recipe("stylegan2-ada")
    torch.manual_seed(0)
    module = build_generator(recipe, DataShape((1, 8, 8))).eval()
    matrix = torch.randn(16, 64) / 8
    module.draw = lambda styles: (styles[:, 0] @ matrix).view(-1, 1, 8, 8)
    module.forward = lambda styles: module.draw(styles)
    found = path_length(loaded(module), FeatureDistance(Pixels()), paths=PATHS, seed=3, space="w")
    assert found.name == "path-length-pixels-w-400"
    draws = Draws(3, PATHS)
    first = module.styles(draws.normal(module.latent))[:, 0]
    last = module.styles(draws.normal(module.latent))[:, 0]
    expected = ((last - first) @ matrix).square().sum(1)
    low, high = expected.quantile(0.01), expected.quantile(0.99)
    kept = expected[(expected >= low) & (expected <= high)]
    assert found.value == pytest.approx(kept.mean().item(), rel=0.02)
    with pytest.raises(RequestError, match="linear has no styles: its path length is that in z"):
        path_length(loaded(Linear(1.0)), FeatureDistance(Pixels()), seed=0, space="w")


def test_the_circle() -> None:
    start, end = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 2.0]])
    half = slerp(start, end, torch.tensor([[0.5]]))
    torch.testing.assert_close(half, torch.full((1, 2), 2**0.5, dtype=torch.float64))
    torch.testing.assert_close(slerp(start, start, torch.tensor([[0.3]])), start.double())


def test_who_has_none_is_told_so() -> None:
    translator = Linear(1.0)
    translator.inputs, translator.needs_examples = ("images",), True
    with pytest.raises(RequestError, match="linear does not draw from latents alone"):
        path_length(loaded(translator), FeatureDistance(Pixels()), seed=0)
    coarse = Pixels()
    coarse.takes_floats = False
    with pytest.raises(RequestError, match="takes images of 8 bits"):
        FeatureDistance(coarse)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Of VGG16 and of the heads, random."""
    folder, stream = tmp_path_factory.mktemp("lpips"), torch.Generator().manual_seed(0)
    shapes, channels = {}, 3
    for position, width in zip((0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28), (64, 64, 128, 128, *[256] * 3,
                               *[512] * 6), strict=True):  # fmt: skip
        shapes[position] = (width, channels)
        channels = width
    vgg = {}
    for position, (width, before) in shapes.items():
        vgg[f"features.{position}.weight"] = (
            torch.randn(width, before, 3, 3, generator=stream) * (2 / before / 9) ** 0.5
        )
        vgg[f"features.{position}.bias"] = torch.randn(width, generator=stream) * 0.1
    heads = {f"lin{i}.model.1.weight": torch.rand(1, c, 1, 1, generator=stream)
             for i, c in enumerate((64, 128, 256, 512, 512))}  # fmt: skip
    torch.save(vgg, folder / "vgg16.pth")
    save_file(heads, folder / "heads.safetensors")
    return folder / "vgg16.pth", folder / "heads.safetensors"


def written_out(first: Tensor, second: Tensor, vgg: dict[str, Tensor], heads: dict[str, Tensor]) -> Tensor:
    """Layer by layer: 2, 2, 3, 3 and 3 convolutions, with a pooling before each stage but the first."""
    shift, scale = (torch.tensor(each)[None, :, None, None] for each in ((-0.03, -0.088, -0.188), (0.458, 0.448, 0.45)))
    both, position, total = (torch.cat([first, second]).repeat(1, 3, 1, 1) - shift) / scale, 0, 0.0
    for stage, convolutions in enumerate((2, 2, 3, 3, 3)):
        if stage:
            both, position = F.max_pool2d(both, 2), position + 1
        for _ in range(convolutions):
            weight, bias = (vgg[f"features.{position}.{kind}"] for kind in ("weight", "bias"))
            both, position = F.conv2d(both, weight, bias, padding=1).relu(), position + 2
        one, two = F.normalize(both, dim=1, eps=1e-10).chunk(2)
        total = total + F.conv2d((one - two) ** 2, heads[f"lin{stage}.model.1.weight"]).mean(dim=(1, 2, 3))
    return torch.as_tensor(total)


def test_lpips_is_the_published_formula(weights: tuple[Path, Path]) -> None:
    from safetensors.torch import load_file

    draw = torch.Generator().manual_seed(1)
    first, second = (torch.rand(3, 1, 32, 32, generator=draw) * 2 - 1 for _ in range(2))
    lpips = Lpips(*weights)
    found = lpips(first, second)
    expected = written_out(first, second, torch.load(weights[0], weights_only=True), load_file(weights[1]))
    torch.testing.assert_close(found.float(), expected, rtol=1e-4, atol=1e-6)
    assert lpips(first, first).tolist() == [0.0] * 3
    with pytest.raises(RequestError, match="from 16 pixels a side"):
        lpips(first[..., :8], second[..., :8])


def test_a_path_length_by_lpips_is_called_ppl(weights: tuple[Path, Path]) -> None:
    class Larger(Linear):
        def forward(self, latents: Tensor) -> Tensor:
            return F.interpolate(super().forward(latents), size=(16, 16))

    found = path_length(loaded(Larger(0.1)), Lpips(*weights), paths=8, seed=0)
    assert found.name == "PPL-8"
    assert found.value > 0


def test_other_files_are_refused(weights: tuple[Path, Path], tmp_path: Path) -> None:
    vgg, heads = weights
    with pytest.raises(RequestError, match="there is no file"):
        Lpips(tmp_path / "vgg.pth", heads)
    with pytest.raises(RequestError, match="is not VGG16"):
        Lpips(heads, heads)
    with pytest.raises(RequestError, match=r"has no lin0\.model\.1\.weight"):
        Lpips(vgg, vgg)
    (tmp_path / "text.pth").write_text("no weights")
    with pytest.raises(RequestError, match="holds no weights"):
        Lpips(tmp_path / "text.pth", heads)
    torch.save([torch.zeros(3)], tmp_path / "list.pth")
    with pytest.raises(RequestError, match="no state dict"):
        Lpips(tmp_path / "list.pth", heads)

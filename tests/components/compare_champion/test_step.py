"""Challenger against champion: generators that stand for good and bad ones, judged on real digits."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from components.artifacts import Champion, Comparison, Figures, Judged
from components.compare_champion import step
from components.context import RunContext
from components.stage.stage import open_stage
from components.tracking.champions import Lineage
from gan_models.data.shape import DataShape
from gan_models.data.table import ImageTable
from gan_models.families.building import build_generator
from gan_models.metrics.protocol import Protocol, Reference
from gan_models.recipes import load_recipe
from gan_models.recipes.schema import Evaluation
from gan_models.sampling.generator import GeneratorInfo, LoadedGenerator, Samples, load_generator, save_generator

LINEAGE = Lineage(recipe="vanilla", recipe_digest="0", data_fingerprint="0", seed=0)
RECIPE = load_recipe("vanilla", ["networks.generator.widths=[8]", "networks.latent=4"])


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def generators(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every generator draws real digits with noise of the strength that stands in place of its step.

    Its seed is how many different ones it knows, 0 for all.
    """
    digits = ImageTable.open(dataset).split("train").images.cpu().float()

    class Noisy(LoadedGenerator):
        def sample(self, num: int, *, seed: int, **_: object) -> Samples:
            stream = torch.Generator().manual_seed(seed)
            rows = torch.randint(self.info.seed or len(digits), (num,), generator=stream)
            noise = torch.randn(num, *digits.shape[1:], generator=stream) * self.info.step
            return Samples((digits[rows] + noise).round().clamp(0, 255).to(torch.uint8), {})

    def load(folder: Path, device: torch.device | str = "cpu") -> LoadedGenerator:
        loaded = load_generator(folder, device)
        return Noisy(loaded.module, loaded.recipe, loaded.info, loaded.device)

    monkeypatch.setattr("gan_models.metrics.judge.load_generator", load)


def write(folder: Path, noise: int, shape: tuple[int, int, int] = (1, 8, 8), few: int = 0) -> Path:
    info = GeneratorInfo(
        recipe_name="vanilla",
        image_shape=shape,
        class_names=(),
        step=noise,
        seed=few,
        data_fingerprint="",
        diversity=1.0,
        collapsed=False,
    )
    torch.manual_seed(0)
    save_generator(folder, build_generator(RECIPE, DataShape(shape, 0, 0, 0)).state_dict(), RECIPE, info)
    return folder


@pytest.fixture
def compare(dataset: Path, tmp_path: Path, cache: Path, generators: None):
    def compare(
        challenger: int,
        champion: int | None,
        shape: tuple[int, int, int] = (1, 8, 8),
        recall: float = 0.6,
        withstood: int = 0,
        few: int = 0,
    ) -> Comparison:
        figures = {"recall-classifier": recall, "coverage-classifier": 0.9}
        shutil.rmtree(tmp_path, ignore_errors=True)
        (tmp_path / "report").mkdir(parents=True)
        Figures(
            metrics=figures,
            headline=list(figures),
            protocol=Protocol(
                extractor={"name": "classifier"},
                reference=Reference(data="d", source="s", split="test", images=9),
                samples=9,
                parameters={},
            ),
        ).write(tmp_path / "report")
        folder = tmp_path / "champion"
        folder.mkdir()
        version = "" if champion is None else "3"
        kept = [Judged(version=str(4 + n), lineage=LINEAGE, decision="kept", against="3") for n in range(withstood)]
        other = Judged(version="2", lineage=LINEAGE, decision="kept", against="1")
        Champion(model="faces", version=version, judged=[*kept, other]).write(folder)
        if champion is not None:
            write(folder / "generator", champion, shape)
        request = step.Request(
            challenger=write(tmp_path / "challenger", challenger, few=few),
            champion=folder,
            dataset=dataset,
            report=tmp_path / "report",
            evaluation=Evaluation(extractor="classifier", samples=200),
            output=tmp_path / "comparison",
            cache_dir=cache,
            seed=0,
        )
        with open_stage("compare_champion", RunContext(state_dir=str(tmp_path / "state"))) as stage:
            result = step.run(request, stage)
        assert Comparison.read(tmp_path / "comparison") == result
        return result

    return compare


def test_better_beyond_noise_is_promoted_with_the_figures(compare) -> None:
    result = compare(challenger=5, champion=60)
    assert result.promote
    assert result.reason.startswith("better than the champion beyond noise (FD-classifier")
    assert result.figures["challenger"] < result.figures["champion"]
    assert result.figures["high"] < 0


def test_the_more_it_has_withstood_the_more_a_challenger_has_to_show(compare) -> None:
    first, later = compare(challenger=5, champion=60), compare(challenger=5, champion=60, withstood=40)
    assert first.figures["confidence"] == pytest.approx(0.95)
    assert later.figures["confidence"] == pytest.approx(1 - 0.1 / (41 * 42))
    assert later.figures["high"] > first.figures["high"]
    assert "99.99 % interval" in later.reason
    assert "after 40 that it withstood" in later.reason


def test_a_shorter_distance_that_costs_recall_is_kept_out(compare) -> None:
    """The challenger draws clean digits, but only a few; the champion all of them, in noise."""
    result = compare(challenger=5, champion=90, few=20)
    assert result.figures["high"] < 0
    assert result.figures["challenger_recall"] < 0.9 * result.figures["champion_recall"]
    assert not result.promote
    assert result.reason.startswith("nearer than the champion, but it draws less of what there is: recall")


def test_worse_is_kept_out(compare) -> None:
    result = compare(challenger=60, champion=5)
    assert not result.promote
    assert result.reason.startswith("worse than the champion")
    assert result.figures["low"] > 0


def test_the_same_generator_is_not_better_than_itself(compare) -> None:
    result = compare(challenger=20, champion=20)
    assert not result.promote
    assert result.reason.startswith("no better than the champion beyond noise")
    assert result.figures["difference"] == 0.0


def test_without_a_champion_the_first_wins_without_a_measurement(compare) -> None:
    result = compare(challenger=20, champion=None)
    assert result.promote
    assert result.figures == {}


def test_a_champion_of_another_shape_stays_and_says_what_to_do(compare) -> None:
    result = compare(challenger=20, champion=20, shape=(1, 16, 16))
    assert not result.promote
    assert "cannot be judged on this data" in result.reason
    assert "promote by hand" in result.reason


SHORT = "short of the recipe's floors (recall-classifier is 0.02, at least 0.1 is asked for)"


def test_the_first_that_is_short_of_a_floor_is_no_champion(compare) -> None:
    """With no champion before it, a collapsed generator would be crowned whatever it draws."""
    result = compare(challenger=5, champion=None, recall=0.02)
    assert (result.promote, result.reason, result.champion) == (False, SHORT, "")


def test_what_is_better_than_the_champion_and_short_of_a_floor_is_kept_out(compare) -> None:
    result = compare(challenger=5, champion=60, recall=0.02)
    assert (result.promote, result.reason, result.champion) == (False, SHORT, "3")

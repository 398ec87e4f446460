"""Every technique is a setting: switched on in `dcgan` it trains, stays finite and resumes bit for bit."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gan_models.losses import LOSSES
from gan_models.recipes import Recipe
from gan_models.regularizers import REGULARIZERS

PLAIN = ["networks.discriminator.norm=none"]
CLASSES = "conditioning={{generator: one-hot, discriminator: {}}}"

TECHNIQUES = {
    "virtual norm": ["networks.generator.norm=virtual"],
    "reference norm": ["networks.generator.norm=reference"],
    "no norm": ["networks.generator.norm=none", *PLAIN],
    "layer norm in D": ["networks.discriminator.norm=layer"],
    "minibatch discrimination": ["networks.discriminator.minibatch=discrimination"],
    "minibatch standard deviation": ["networks.discriminator.minibatch=stddev"],
    "spectral norm in D": ["networks.discriminator.spectral_norm=true", *PLAIN],
    "spectral norm in G": ["networks.generator.spectral_norm=true"],
    "spectral norm in both": [
        "networks.generator.spectral_norm=true",
        "networks.discriminator.spectral_norm=true",
        "networks.discriminator.minibatch=discrimination",
    ],
    "attention": ["data.size=16", "networks.generator.attention=[8]", "networks.discriminator.attention=[8]"],
    "attention under a gradient penalty": [
        "data.size=16",
        "networks.discriminator.attention=[8]",
        *PLAIN,
        "regularizers=[{name: gradient-penalty}]",
    ],
    "orthogonal initialisation": ["networks.generator.init=orthogonal", "networks.discriminator.init=xavier"],
    "augmentation": ["game.augmentations=[translation, cutout]"],
    "several D steps": ["game.discriminator_steps=3"],
    "several G steps": ["game.generator_steps=3"],
    "two time scales": ["optimizers.generator.lr=1e-4", "optimizers.discriminator.lr=4e-4"],
    "decay": ["optimizers.decay_from=0.5"],
    "rmsprop": ["optimizers.generator.name=rmsprop", "optimizers.discriminator.name=rmsprop"],
    "sgd": [
        "optimizers.generator={name: sgd, lr: 0.01}",
        "optimizers.discriminator={name: sgd, lr: {exponential: [0.01, 0.001]}, momentum: {linear: [0.5, 0.7]}}",
    ],
    "uniform latent": ["networks.uniform=[-1, 1]"],
    "dequantised": ["game.dequantise=true"],
    "larger kernels": ["networks.generator.kernel=5", "networks.discriminator.kernel=5"],
    "units normalised": ["networks.generator.flat_norm=true"],
    "class weights of both players": [CLASSES.format("classifier"), "game.classification_in_generator=0.1"],
    "absolute feature matching": ["regularizers=[{name: feature-matching, distance: absolute}]"],
    "label planes": [CLASSES.format("concat")],
    "projection": [CLASSES.format("projection")],
    "class head": [CLASSES.format("classifier"), "game.classify_fakes=false", "game.classification=0.5"],
    "class head beside minibatch statistics": [
        CLASSES.format("classifier"),
        "networks.discriminator.minibatch=discrimination",
    ],
    "semi-supervised with a penalty": [
        "game={kind: semi-supervised, labels_per_class: 3}",
        *PLAIN,
        "regularizers=[{name: r1}, {name: feature-matching}, {name: historical-averaging}]",
    ],
    **{
        f"regularizer {name}": [f"regularizers=[{{name: {name}, weight: 0.1, every: 2}}]", *PLAIN]
        for name in REGULARIZERS
        if name != "path-length"  # of a generator with styles, which dcgan's is not
    },
    "historical averaging of both": [
        "regularizers=[{name: historical-averaging}, {name: historical-averaging, player: generator}]"
    ],
    "orthogonal D under spectral norm": [
        "networks.discriminator.spectral_norm=true",
        "regularizers=[{name: orthogonal, player: discriminator}]",
    ],
    "relativistic game with both penalties": [
        "game.loss=relativistic", *PLAIN, "regularizers=[{name: r1}, {name: r2}]"
    ],
    **{f"loss {name}": [f"game.loss={name}"] for name in LOSSES if name != "wasserstein"},
    "loss wasserstein, clipped": ["game.loss=wasserstein", "game.weight_clip=0.01"],
    "loss wasserstein, spectral": [
        "game.loss=wasserstein", *PLAIN, "networks.discriminator.spectral_norm=true"
    ],
}  # fmt: skip


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_dcgan_takes_it_trains_and_resumes(
    technique: str,
    small_recipe: Callable[..., Recipe],
    assert_resumes: Callable[[Recipe, Path], None],
    tmp_path: Path,
) -> None:
    overrides = ["training.steps=6", "training.tick=3", "training.keep=1", "training.batch_size=8"]
    assert_resumes(small_recipe("dcgan", *overrides, *TECHNIQUES[technique]), tmp_path)

"""The optimal discriminator is a ratio of densities: with both known, what D learns can be checked point by point."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from gan_models.data.toy import Mixture
from gan_models.families.interfaces import Discriminator
from gan_models.families.mlp.networks import Mlp
from gan_models.families.mlp.spec import MlpDiscriminator
from gan_models.layers.heads import LinearHead
from gan_models.losses import LOSSES

DATA = Mixture("data", ((0.7, 0.0), (-0.7, 0.7)), 0.5)
MODEL = Mixture("model", ((0.0, -0.3),), 0.8)
STEPS, BATCH = 400, 512


def as_images(points: np.ndarray) -> Tensor:
    return torch.from_numpy(points)[:, :, None, None]


@pytest.mark.parametrize(
    ("loss", "share"), [("non-saturating", torch.sigmoid), ("least-squares", lambda logits: logits)]
)
def test_d_recovers_the_share_of_the_data(loss: str, share: Callable[[Tensor], Tensor]) -> None:
    """D*(x) = p_data / (p_data + p_model): Goodfellow et al. 2014, proposition 1; Mao et al. 2017, eq. 5 with b=1, a=0.

    Stated error: 0.02 on average over points of both distributions, 0.1 at 99 % of them.
    """
    torch.manual_seed(0)
    trunk = Mlp().trunk(MlpDiscriminator(widths=(64, 64)), (2, 1, 1))
    discriminator = Discriminator(trunk.layers, LinearHead(trunk.channels))
    optimizer = torch.optim.Adam(discriminator.parameters(), lr=5e-3)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.01, STEPS)
    real = as_images(DATA.draw(STEPS * BATCH, 1)[0]).split(BATCH)
    fake = as_images(MODEL.draw(STEPS * BATCH, 2)[0]).split(BATCH)
    for one, other in zip(real, fake, strict=True):
        value = LOSSES[loss]().discriminator(discriminator(one).logits, discriminator(other).logits)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        schedule.step()
    points = np.concatenate([DATA.draw(1_000, 3)[0], MODEL.draw(1_000, 4)[0]])
    data, model = DATA.density(points), MODEL.density(points)
    with torch.no_grad():
        seen = share(discriminator(as_images(points)).logits).numpy()
    errors = np.abs(seen - data / (data + model))
    assert errors.mean() < 0.02
    assert np.quantile(errors, 0.99) < 0.1

"""How real one image looks (Kynkaanniemi et al. 2019, section 4): to show the best and the worst of a sample."""

from __future__ import annotations

import torch
from torch import Tensor

from gan_models.metrics.matrices import Matrix, as_float64, rows_per_block
from gan_models.metrics.neighbours import nearest


def realism(generated: Matrix, real: Matrix, *, k: int = 5) -> Tensor:
    """Of each generated row: the largest, over real rows, of the radius of their ball over the distance to them, [N].

    From 1 on, the image lies on the manifold of the real ones. The largest half of the balls is left out, as in the
    paper: where real images are sparse, everything would look real. Infinite for a copy of a real image.

    Args:
        generated: features [N, D].
        real: features [M, D].
        k: a ball reaches to this nearest neighbour.

    Raises:
        ValueError: fewer than k + 1 real images, other dimensions, or values that are not finite.
    """
    fake, true = as_float64(generated), as_float64(real)
    radii = nearest(true, true, k=k + 1).distances[:, -1]
    kept = radii <= radii.median()
    true, radii = true[kept], radii[kept]
    found = []
    for part in torch.split(fake, rows_per_block(len(true))):
        distances = torch.cdist(part, true)
        found.append(torch.where(distances > 0, radii / distances, torch.inf).amax(dim=1))
    return torch.cat(found)

"""How good generated images are: feature extractors, and the figures computed from features.

scores.py            `METRICS`, the one list of metrics; metric.py says what a metric is
extractors.py        `EXTRACTORS`, the one list of extractors; choice.py says which one fits the data
extraction.py        what an extractor is and gives (classifier.py, efficientnet.py, inception.py,
                     onnx_extractor.py, vision_transformer.py)
evaluating.py        any images against any others: `evaluate`; evaluation_page.py writes what it finds as a page
protocols.py         `PROTOCOLS`: how published figures were made; protocol.py: how one figure was
image_sets.py        images wherever they lie, read a few at a time; resizing.py: as reference implementations do it
judge.py             an extractor at work on one data set: real features, cached on disk, and generated ones
bootstrap.py         how sure the difference of two generators is
frechet.py           Frechet distance (FD; with the 2015 Inception network: FID); intra_class.py: within classes
kernel_distance.py   kernel distance (KID)
inception_score.py   Inception Score (IS)
neighbours.py        precision, recall, density, coverage; nearest neighbours
memorisation.py      are training images repeated; authenticity.py: which are
frechet_infinity.py  FD at infinitely many images; rbf_distance.py: MMD with a Gaussian kernel (CMMD)
modes.py             classes found, and how evenly
intervals.py         how sure one figure is, and what real images get against real ones
path_length.py       perceptual path length, LPIPS; classification_accuracy.py: what is learnt from generated images
streaming.py         all of these for images that come batch by batch, on several processes
cache.py             files made once for all runs, by one process at a time; locations.py says where they lie

Both lists, metric.py and choice.py need no PyTorch.
"""

from importlib import import_module
from typing import Any

_STREAMING = (
    "Evaluation",
    "FrechetDistance",
    "InceptionScore",
    "KernelDistance",
    "Neighbours",
    "RunningGaussian",
)
__all__ = [*_STREAMING]


def __getattr__(name: str) -> Any:
    """What needs PyTorch, imported when it is first asked for."""
    if name not in _STREAMING:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("gan_models.metrics.streaming"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_STREAMING])

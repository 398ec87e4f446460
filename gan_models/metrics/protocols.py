"""How published figures were made: protocols by name. Needs no PyTorch.

A protocol fixes extractor, preprocessing, reference, numbers of images and k. Where images are fewer than it asks for,
figures are computed all the same, a note says so, and their digest is another.
"""

from __future__ import annotations

from dataclasses import dataclass

from gan_models.errors import unknown_name


@dataclass(frozen=True)
class NamedProtocol:
    """What a paper, or a tool that papers use, fixes."""

    note: str
    """Where it is from, and what it leaves open."""
    extractor: str = "auto"
    preprocessing: str = ""
    """Of the extractor; empty: its usual one."""
    reference: str = "test"
    """The split to compare with, or `all`."""
    references: int | None = None
    """Images of it, at most; None for all."""
    samples: int | None = None
    """Images to be judged; None for all that there are; of a generator, as many as there are references."""
    metrics: tuple[str, ...] = ()
    """What is computed by default; empty for all."""
    k: int = 5
    any_size: bool = False
    """Resizes each image by itself: those of a set may be of different sizes."""


PROTOCOLS: dict[str, NamedProtocol] = {
    "project": NamedProtocol("this project's own: the test split, where there is one"),
    "sngan-paper": NamedProtocol(
        "Miyato et al. 2018, appendix B.1: FID of 5,000 generated against 10,000 real images. The paper does not say "
        "of which split: here test. Its code resizes with Chainer's bilinear filter, here TensorFlow's. Its Inception "
        "Score is the mean over ten times 5,000 images: not computed",
        extractor="inception-2015", reference="test", references=10_000, samples=5_000, metrics=("FD",),
    ),
    "studiogan": NamedProtocol(
        "Kang, Shin, Park 2023 and the authors' PyTorch-StudioGAN, resizer `friendly`: as many generated images as the "
        "train split has, which is the reference (for ImageNet 50,000); Pillow's bilinear filter; k = 5",
        extractor="inception-2015", preprocessing="studiogan", reference="train",
        metrics=("FD", "IS", "precision", "recall", "density", "coverage"),
    ),
    "clean-fid": NamedProtocol(
        "Parmar, Zhang, Zhu 2022 and clean-fid's mode `clean`: Pillow's antialiased bicubic filter, each "
        "channel as floats. It leaves numbers and reference open: here all of the samples against the test split",
        extractor="inception-2015", preprocessing="clean-fid", reference="test", metrics=("FD", "KID"), any_size=True,
    ),
    "stylegan": NamedProtocol(
        "Karras et al. 2020 (ADA), section 2, and NVIDIA's fid50k_full, kid50k_full, is50k: 50,000 generated images "
        "against all training images; resized inside of the network as in TensorFlow 1. Precision and recall, which "
        "there are of VGG-16 features with k = 3, are not computed",
        extractor="inception-2015", reference="train", samples=50_000, metrics=("FD", "KID", "IS"), k=3,
    ),
    "dgm-eval": NamedProtocol(
        "Stein et al. 2023 and the authors' dgm-eval: DINOv2 ViT-L/14, 50,000 generated images against as "
        "many of the train split; precision, recall, density and coverage are there of 10,000 images on either side, "
        "here of all",
        extractor="dinov2", reference="train", references=50_000, samples=50_000,
        metrics=("FD", "KID", "precision", "recall", "density", "coverage"), any_size=True,
    ),
}  # fmt: skip


def find_protocol(name: str) -> NamedProtocol:
    """RequestError for one that there is not, with the nearest right name."""
    if name not in PROTOCOLS:
        raise unknown_name("protocol", name, PROTOCOLS)
    return PROTOCOLS[name]

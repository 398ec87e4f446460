"""Families of networks, a folder each: `spec.py` (its sections of a recipe, no PyTorch), `networks.py`."""

from gan_models.families.base import Family
from gan_models.plugins import Registry

_NAMES = (
    "mlp",  # multilayer perceptrons (Goodfellow et al. 2014)
    "dcgan",  # strided and transposed convolutions (Radford, Metz, Chintala 2016)
    "sngan",  # residual networks; with attention, SAGAN (Miyato et al. 2018; Zhang et al. 2019)
    "sngan-cnn",  # plain and strided convolutions in turn (Miyato et al. 2018)
    "biggan",  # residual networks that hear class and latent everywhere (Brock et al. 2019)
    "lsgan",  # a generator of doubled layers, as VGG's are (Mao et al. 2017)
    "acgan",  # transposed convolutions; convolutions with dropout (Odena, Olah, Shlens 2017)
    "sgan-mlp",  # perceptrons with weight norm and noise (Salimans et al. 2016)
    "sgan-cnn",  # convolutions with weight norm and dropout (Salimans et al. 2016)
    "r3gan",  # residual networks without normalisation (Huang et al. 2024)
    "progressive",  # growing networks (Karras et al. 2018)
    "stylegan2",  # a mapping network and modulated convolutions (Karras et al. 2020)
    "cyclegan",  # translators between two domains (Zhu et al. 2017)
    "attribute-transfer",  # one translator for any number of domains (Choi et al. 2018)
    "colorization",  # U-Net and PatchGAN on colours (Isola et al. 2017)
    "lab-colorization",  # colours from lightness and hints (Zhang et al. 2017)
    "pix2pix",  # U-Net and PatchGAN on pairs (Isola et al. 2017)
    "none",  # no discriminator
    "stackgan",  # text to image in two stages (Zhang et al. 2017)
)

FAMILIES: Registry[Family] = Registry(
    "family",
    "gan_pipeline.families",
    {name: f"gan_models.families.{name.replace('-', '_')}.spec:FAMILY" for name in _NAMES},
)

"""The classifier that a semi-supervised training leaves beside its generator."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
import yaml
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from gan_models.data.table import to_float
from gan_models.errors import RequestError
from gan_models.families.building import build_discriminator
from gan_models.families.interfaces import Discriminator
from gan_models.files import RECIPE_FILE
from gan_models.recipes.loading import parse_recipe
from gan_models.sampling.generator import read_info

CLASSIFIER_FILE = "classifier.safetensors"


class LoadedClassifier(NamedTuple):
    """A classifier ready to ask."""

    module: Discriminator
    class_names: tuple[str, ...]
    """Position is the class."""
    device: torch.device

    @torch.inference_mode()
    def probabilities(self, images: Tensor, *, batch_size: int = 256) -> Tensor:
        """float32 [N, K], of the classes given that an image is real, for images uint8 [N, H, W, C]."""
        parts = [
            self.module(to_float(part.to(self.device))).class_logits.float().softmax(1).cpu()
            for part in torch.split(images, batch_size)
        ]
        return torch.cat(parts)


def load_classifier(folder: Path, device: torch.device | str = "cpu") -> LoadedClassifier:
    """Loads the classifier of a generator folder. Nothing is unpickled.

    Raises:
        RequestError: the folder is not a generator folder, holds no classifier, or is damaged.
    """
    info, device = read_info(folder), torch.device(device)
    path = folder / CLASSIFIER_FILE
    if not path.is_file():
        raise RequestError(f"{folder} has no {CLASSIFIER_FILE}: only semi-supervised recipes such as sgan train one")
    try:
        document = yaml.safe_load((folder / RECIPE_FILE).read_text())
        recipe = parse_recipe(document, origin=str(folder / RECIPE_FILE))
        module = build_discriminator(recipe, info.shape).to(device)
        module.load_state_dict(load_file(path, device=str(device)))
    except (OSError, yaml.YAMLError, SafetensorError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise RequestError(f"{path} is damaged ({reason}): train again, or take another checkpoint") from None
    module.to(memory_format=torch.channels_last)
    return LoadedClassifier(module.eval(), info.class_names, device)

"""A generator folder behind MLflow's `python_function`: the module that a registered model names as its loader.

Needs gan-pipeline where it is loaded. It reads safetensors, JSON and YAML and unpickles nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from gan_models.sampling.generator import LoadedGenerator


class ServedGenerator:
    """What `mlflow.pyfunc.load_model` gives.

    Attributes:
        generator: the generator itself, for what `predict` does not do.
    """

    def __init__(self, generator: LoadedGenerator) -> None:
        self.generator = generator

    def predict(self, model_input: Mapping[str, Any], params: Mapping[str, Any] | None = None) -> np.ndarray:
        """Images float32 [N, C, H, W] in [-1, 1] for the generator's own inputs, N rows each.

        Args:
            model_input: by name, as the model's signature says: `latents` [N, Z], `labels` [N], `images` and so on.
            params: not used.

        Raises:
            ValueError: an input is missing, or they have different numbers of rows.
        """
        import numpy as np
        import torch

        module = self.generator.module
        if missing := [name for name in module.inputs if name not in model_input]:
            raise ValueError(f"{', '.join(missing)} missing: the inputs are {', '.join(module.inputs)}")
        rows = {name: torch.from_numpy(np.asarray(model_input[name])) for name in module.inputs}
        if len({len(tensor) for tensor in rows.values()}) != 1:
            raise ValueError(f"inputs of {', '.join(str(len(tensor)) for tensor in rows.values())} rows")
        given = {
            name: (tensor.float() if tensor.is_floating_point() else tensor.long()).to(self.generator.device)
            for name, tensor in rows.items()
        }
        with torch.inference_mode():
            images: np.ndarray = module(**given).float().cpu().numpy()
        return images


def _load_pyfunc(path: str) -> ServedGenerator:
    """Called by MLflow with the path of the generator folder."""
    import torch

    from gan_models.sampling.generator import load_generator

    return ServedGenerator(load_generator(Path(path), "cuda" if torch.cuda.is_available() else "cpu"))

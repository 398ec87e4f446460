"""A generator as a program that loads and runs without this project's code, and without unpickling anything.

`torch.export` writes the traced graph and its weights (`data/model.pt2`), which is what `mlflow.pytorch` stores by
default. It is done in the stage, where torch is loaded already; the process that talks to MLflow then only moves files.
Measured on two busy cores: 3 s, of which 2 s are imports of torch's exporter.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gan_models.families.interfaces import Generator, Inputs

PROGRAM = Path("data") / "model.pt2"
DESCRIPTION = Path("program.json")
EXAMPLES = 2  # torch.export takes a dimension of size 1 for a constant


def write_generator_program(generator: Path, target: Path) -> None:
    """Export the generator of a generator folder into the folder `target`."""
    from gan_models.sampling.draws import Draws
    from gan_models.sampling.generator import load_generator

    loaded = load_generator(generator)
    export_program(loaded.module, loaded.module.draw_inputs(Draws(0, EXAMPLES), examples=loaded.examples), target)


def export_program(module: Generator, inputs: Inputs, target: Path) -> None:
    """Write `data/model.pt2` and `program.json` (names, types and shapes of inputs and output, an example).

    Args:
        module: `forward` takes the tensors that `module.inputs` names, B rows each, and gives images [B, C, H, W] in
            [-1, 1]: `latents` [B, Z], `labels` [B], `images` [B, C, H, W] and so on.
        inputs: an example of them, of two rows or more.
    """
    import torch
    from torch.export import Dim

    module = module.eval().requires_grad_(False)
    names = module.inputs
    example = tuple(inputs[name] for name in names)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's remarks about its own storage
        images = module(*example)
        batch = Dim("batch", min=1)
        program = torch.export.export(module, example, dynamic_shapes=[{0: batch} for _ in example])
        (target / PROGRAM.parent).mkdir(parents=True)
        torch.export.save(program, target / PROGRAM)
    description: dict[str, Any] = {
        "torch": str(torch.__version__),
        "inputs": [_tensor(name, tensor) for name, tensor in zip(names, example, strict=True)],
        "outputs": [_tensor("images", images)],
        "example": {name: tensor.tolist() for name, tensor in zip(names, example, strict=True)},
    }
    (target / DESCRIPTION).write_text(json.dumps(description))


def _tensor(name: str, tensor: Any) -> dict[str, Any]:
    return {"name": name, "dtype": str(tensor.dtype).removeprefix("torch."), "shape": [-1, *tensor.shape[1:]]}

"""What is sent of a generator to be registered: its folder, and what MLflow is told of its inputs.

MLflow stores it as a `python_function` that `components.tracking.mlflow.serving` loads: safetensors, JSON and YAML, of
which nothing is unpickled or executed. A traced program (`torch.export`) would need no code of this project, but its
loader falls back to unpickling parts of the file.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from gan_models.sampling.generator import LoadedGenerator
    from gan_models.sampling.served import RowServer

DESCRIPTION = Path("inputs.json")
EXAMPLES = 2


def describe_generator(generator: Path, target: Path) -> None:
    """Writes `inputs.json` of a generator folder into the folder `target`: names, types, and an example.

    Of rows where its task is served by rows, with the answer's; else of its tensors, with their shapes.
    """
    from gan_models.sampling.generator import load_generator
    from gan_models.sampling.served import RowServer

    loaded = load_generator(generator)
    server = RowServer(loaded)
    description = _rows(server) if server.columns else _tensors(loaded)
    (target / DESCRIPTION).write_text(json.dumps(description))


def _rows(server: RowServer) -> dict[str, Any]:
    example = server.example()
    first = server.answer(example)[0]  # an example that is no example is noticed here
    kinds = {int: "long", str: "string"}
    return {
        "columns": [{"name": each.name, "type": each.kind, "required": each.required} for each in server.columns],
        "answers": [{"name": name, "type": kinds[type(value)], "required": True} for name, value in first.items()],
        "example": [[row.get(column.name) for column in server.columns] for row in example],
    }


def _tensors(loaded: LoadedGenerator) -> dict[str, Any]:
    from gan_models.sampling.draws import Draws

    inputs = loaded.module.draw_inputs(Draws(0, EXAMPLES), examples=loaded.examples)
    example = {name: inputs[name] for name in loaded.module.inputs}
    return {
        "inputs": [_tensor(name, tensor) for name, tensor in example.items()],
        "outputs": [{"name": "images", "dtype": "float32", "shape": [-1, *loaded.info.image_shape]}],
        "example": {name: tensor.tolist() for name, tensor in example.items()},
    }


def _tensor(name: str, tensor: Tensor) -> dict[str, Any]:
    return {"name": name, "dtype": str(tensor.dtype).removeprefix("torch."), "shape": [-1, *tensor.shape[1:]]}


def digests_of(folder: Path) -> dict[str, str]:
    """SHA-256 of each file of a folder, by name."""
    files = sorted(path for path in folder.iterdir() if path.is_file())
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

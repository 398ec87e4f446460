"""A generator that answers requests: rows in, images out; and by its own tensors, as it was registered before.

It needs gan-pipeline where it is loaded, reads safetensors, JSON and YAML, and unpickles nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from gan_models.errors import RequestError

if TYPE_CHECKING:
    import numpy as np

    from gan_models.sampling.generator import LoadedGenerator
    from gan_models.tasks.base import Column, Row

MOST_ROWS = 64  # of a request: it is answered as a whole, in memory
MAX_SEED = 2**31 - 1  # as far as seeds go everywhere in the project


class RowServer:
    """Draws an image for each row of a request, from several threads if need be.

    A row is drawn by itself, whatever is asked beside it, so that the same row is the same image, bit for bit: that
    of `LoadedGenerator.sample` for one image. In larger batches kernels round to the next of the 256 levels.

    Attributes:
        columns: what a row may say.
    """

    def __init__(self, generator: LoadedGenerator) -> None:
        self.columns = generator.task.columns(generator)
        self._generator = generator
        self._turn = Lock()  # images are drawn in turn, each by all of the device; PNGs are made meanwhile

    def example(self) -> list[Row]:
        """A small request that it answers."""
        return self._generator.task.example_rows(self._generator)

    def answer(self, rows: Sequence[Row]) -> list[dict[str, int | str]]:
        """For each row its `image`, a PNG in base64, and what it was drawn from: `seed`, `label` and so on.

        Raises:
            RequestError: too many rows, or none; a value that cannot be drawn, with the number of its row.
        """
        from gan_models.sampling.pngs import encode_png

        if not 1 <= len(rows) <= MOST_ROWS:
            raise RequestError(f"{len(rows)} rows: expected 1 to {MOST_ROWS} in a request, an image each")
        answers: list[dict[str, int | str]] = []
        for number, row in enumerate(rows):
            try:
                values = {column.name: _value(column, row.get(column.name)) for column in self.columns}
                with self._turn:
                    drawn = self._generator.task.answer_row(self._generator, values)
            except RequestError as error:
                raise RequestError(f"row {number}: {error}") from None
            answers.append({"image": encode_png(drawn.image), **drawn.about})
        return answers


def _value(column: Column, value: Any) -> int | float | str | None:
    """As its column says; tables hold NaN where there is nothing, and floats for whole numbers then."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        if column.required:
            raise RequestError(f"{column.name} is missing")
        return None
    if column.kind == "string":
        return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    if column.kind == "double":
        return float(value)
    if column.name == "seed" and not 0 <= value <= MAX_SEED:
        raise RequestError(f"seed {value}: expected a whole number from 0 to {MAX_SEED}")
    return int(value)


class ServedGenerator:
    """By the generator's own tensors: versions registered before, and tasks that have no columns.

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


def load_served(folder: Path) -> LoadedGenerator:
    """A generator folder on the GPU, where there is one."""
    import torch

    from gan_models.sampling.generator import load_generator

    return load_generator(folder, "cuda" if torch.cuda.is_available() else "cpu")


def _load_pyfunc(path: str) -> ServedGenerator:
    """Called by MLflow with the path of the generator folder, for versions that name this module as their loader."""
    return ServedGenerator(load_served(Path(path)))

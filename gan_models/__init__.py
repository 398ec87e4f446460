"""PyTorch GANs from a folder of images: prepared, trained, drawn from, judged.

    import gan_models as gm

    run = gm.train("photos", "dcgan", steps=2000)
    run.sample(64)                              # a notebook shows it; `.image()` is a picture, `.images` the pixels
    gm.load(run.folder).sample(16, seed=1)
    gm.evaluate(run.folder, "photos").figures   # a sample against images: folders, zips, Parquet, npz, generators

These names are imported when they are first used: `import gan_models` costs neither PyTorch nor anything else.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gan_models.data.table import ImageTable as ImageTable
    from gan_models.errors import RequestError as RequestError
    from gan_models.errors import RunError as RunError
    from gan_models.front_door.drawing import load as load
    from gan_models.front_door.preparing import prepare as prepare
    from gan_models.front_door.training import Trained as Trained
    from gan_models.front_door.training import train as train
    from gan_models.metrics.evaluating import evaluate as evaluate
    from gan_models.recipes.loading import load_recipe as load_recipe
    from gan_models.recipes.loading import recipe_names as recipe_names
    from gan_models.sampling.generator import LoadedGenerator as LoadedGenerator
    from gan_models.sampling.generator import Samples as Samples

# Name -> the module it lives in; the imports above say the same to type checkers.
_HOMES = {
    "ImageTable": "gan_models.data.table",
    "LoadedGenerator": "gan_models.sampling.generator",
    "RequestError": "gan_models.errors",
    "RunError": "gan_models.errors",
    "Samples": "gan_models.sampling.generator",
    "Trained": "gan_models.front_door.training",
    "evaluate": "gan_models.metrics.evaluating",
    "load": "gan_models.front_door.drawing",
    "load_recipe": "gan_models.recipes.loading",
    "prepare": "gan_models.front_door.preparing",
    "recipe_names": "gan_models.recipes.loading",
    "train": "gan_models.front_door.training",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'gan_models' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})

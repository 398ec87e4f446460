"""What a file of `gan-pipeline compile` was compiled for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gan_models.errors import RequestError
from gan_models.recipes import Recipe
from gan_models.recipes.loading import parse_recipe

_SECTIONS = ("data", "selection", "evaluation", "export")


def compiled_parameters(path: Path) -> dict[str, Any]:
    """The defaults of a compiled pipeline's parameters.

    Raises:
        RequestError: there is no such file, or it holds no pipeline.
    """
    import yaml

    try:
        document = next(yaml.safe_load_all(path.read_text(encoding="utf-8")))
        inputs = document["root"]["inputDefinitions"]["parameters"]
        return {name: spec["defaultValue"] for name, spec in inputs.items() if "defaultValue" in spec}
    except OSError as error:
        raise RequestError(f"--pipeline {path}: {error.strerror or error}") from None
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError, AttributeError, StopIteration):
        raise RequestError(
            f"--pipeline {path} holds no compiled pipeline: write one with `gan-pipeline compile`"
        ) from None


def read_parameters(parameters: Mapping[str, Any], origin: str) -> tuple[Recipe, int]:
    """The recipe and the seed behind the parameters of a training pipeline.

    Raises:
        RequestError: they are not those of one.
    """
    try:
        sections = {name: json.loads(parameters[name]) for name in _SECTIONS}
        document = {**json.loads(parameters["model"]), **sections}
        seed = int(parameters["seed"])
    except (KeyError, TypeError, ValueError):
        raise RequestError(f"{origin} is not a training pipeline written by `gan-pipeline compile`") from None
    return parse_recipe(document, origin), seed

"""Where things are kept that are made or fetched once for all runs."""

import os
from pathlib import Path

from gan_models.errors import home_path

CACHE_VARIABLE = "GAN_PIPELINE_CACHE"


def default_cache() -> Path:
    """$GAN_PIPELINE_CACHE, or ~/.cache/gan-pipeline."""
    return Path(os.environ.get(CACHE_VARIABLE) or home_path("~") / ".cache" / "gan-pipeline")

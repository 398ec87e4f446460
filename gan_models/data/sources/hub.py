"""The kind `hf`: data sets of the public hub by their names, fetched by `datasets`, or a folder that it saved.

`hf:cifar10`, `hf:user/name`, `hf:user/name@configuration`; `hf:./saved` for what `save_to_disk` wrote. Columns are
those of `parquet:`; splits are the data set's. What is fetched goes into the cache of `datasets`, and is mapped from
there (below `GAN_PIPELINE_CACHE`, where that is set). A token for what is not public comes from `HF_TOKEN`, or from
where `hf auth login` left it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gan_models.data.sources.base import Source, SourceKind, SourceName, carrying, version_of
from gan_models.errors import RequestError, RunError, home_path
from gan_models.metrics.locations import CACHE_VARIABLE, default_cache

NAME = re.compile(r"(?:[\w.-]+/)?[\w.-]+(?:@[\w.-]+)?")
SAVED = ("dataset_dict.json", "state.json")
"""One of which lies in every folder that `save_to_disk` wrote."""


class _Hub(SourceKind):
    rest = "name"
    chooses = ("image", "label", "caption", "domain", "attributes")

    def check(self, text: str, rest: str) -> None:
        super().check(text, rest)
        if self.path_of(rest) is None and not NAME.fullmatch(rest):
            raise RequestError(
                f"data source {text!r}: data sets are called name, user/name or user/name@configuration, and folders "
                "by a path that begins with / or ."
            )

    def path_of(self, rest: str) -> Path | None:
        is_path = rest.startswith(("/", "./", "../", "~")) or rest in (".", "..") or _is_saved(home_path(rest))
        return home_path(rest) if is_path else None

    def reaches(self, rest: str) -> bool:
        return self.path_of(rest) is None

    def recognises(self, path: Path) -> bool:
        return _is_saved(path)

    def short_name(self, name: SourceName) -> str:
        return name.path.name or name.kind if name.path else name.rest.rpartition("/")[2].partition("@")[0]

    def carries(self, name: SourceName) -> frozenset[str]:
        if name.path:
            return super().carries(name)
        from gan_models.data.sources.hub_tables import columns_of

        with _fetching(name):
            features = _builder(name).info.features
        if features is None:
            return super().carries(name)
        label, caption, domain = columns_of(features, name.fields)
        return carrying(label, domain, caption)

    def version(self, name: SourceName) -> str:
        if name.path:
            return version_of([self._existing(name)])
        with _fetching(name):
            return str(_builder(name).hash)

    def open(self, name: SourceName) -> Source:
        from gan_models.data.sources.hub_tables import HubSource

        place = self._existing(name) if name.path else None
        with _fetching(name):
            import datasets

            if place is not None:
                found = datasets.load_from_disk(str(place))
            else:
                repository, _, configuration = name.rest.partition("@")
                found = datasets.load_dataset(repository, configuration or None)
        return HubSource(str(name), found if isinstance(found, dict) else {"": found}, name.fields)

    def _existing(self, name: SourceName) -> Path:
        path = home_path(name.rest)
        if not _is_saved(path):
            what = "is no data set that save_to_disk wrote" if path.exists() else "there is nothing"
            raise RequestError(
                f"data source {str(name)!r}: {path.absolute()}: {what}; write hf:<user/name> for one of the hub"
            )
        _need(name)
        return path


def _is_saved(path: Path) -> bool:
    return any((path / file).is_file() for file in SAVED)


def _need(name: SourceName) -> None:
    if find_spec("datasets") is None:
        raise RequestError(
            f"data source {str(name)!r} is read by the package datasets, which is not installed: pip install "
            "gan-pipeline[hub]"
        )


def _builder(name: SourceName) -> Any:
    """What is known of a data set before anything of it is fetched but its description."""
    import datasets

    repository, _, configuration = name.rest.partition("@")
    return datasets.load_dataset_builder(repository, configuration or None)


@contextmanager
def _fetching(name: SourceName) -> Iterator[None]:
    """Errors of `datasets` as one sentence."""
    _need(name)
    if CACHE_VARIABLE in os.environ:  # in a container the home folder may be nobody's
        os.environ.setdefault("HF_HOME", str(default_cache() / "huggingface"))
        os.environ.setdefault("HF_TOKEN_PATH", str(home_path("~") / ".cache/huggingface/token"))
    import datasets
    from datasets.exceptions import DatasetNotFoundError

    datasets.disable_progress_bars()  # progress is shown by who imports
    try:
        yield
    except (RequestError, RunError):
        raise
    except DatasetNotFoundError as error:
        raise RequestError(f"{name}: {_first_line(error)}; is it public, or is a token in HF_TOKEN?") from error
    except ValueError as error:  # of configurations: it names those that there are
        raise RequestError(f"{name}: {_first_line(error)}; write hf:<user/name>@<configuration>") from error
    except Exception as error:  # of the network, of three libraries
        raise RunError(
            f"{name} could not be fetched or read: {_first_line(error)}; is the network there? A folder that "
            "save_to_disk wrote elsewhere is read as hf:<path>"
        ) from error


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__


HF = _Hub()

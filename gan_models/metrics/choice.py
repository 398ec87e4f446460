"""Which extractor judges the images: decided from what is known about the data, without importing PyTorch."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from gan_models.errors import RequestError, home_path, unknown_name
from gan_models.metrics.extractors import EXTRACTORS, named
from gan_models.metrics.metric import Metric
from gan_models.metrics.scores import METRICS
from gan_models.recipes.schema import Evaluation

if TYPE_CHECKING:
    from gan_models.data.table_file import TableMetadata


class Choice(NamedTuple):
    """The `name` of an extractor, the `reason` for it as half a sentence, and its `file` where it is one."""

    name: str
    reason: str
    file: str | None = None


def check_extractor(requested: str) -> None:
    """Refuses what no data can make good: RequestError for a name unknown, or an extractor not installed."""
    if requested == "auto":
        return
    name, file = named(requested)
    if name not in EXTRACTORS:
        raise unknown_name("extractor", requested, ("auto", *EXTRACTORS))
    extractor = EXTRACTORS[name]
    if extractor.takes_file and not file:
        raise RequestError(f"evaluation.extractor {requested!r} needs a file: write {name}:PATH")
    if file is not None and not extractor.takes_file:
        raise RequestError(f"evaluation.extractor {requested!r}: {name} takes no file; write {name} alone")
    if not extractor.installed:
        raise RequestError(
            f"evaluation.extractor {requested!r} needs packages that are not installed: {extractor.remedy}"
        )


def check_evaluation(evaluation: Evaluation) -> None:
    """Refuses what can be seen to be wrong before any image was prepared: worth a call before hours of training.

    Raises:
        RequestError: an unknown extractor, one that is not installed, weights that are not there, or a metric of an
            installed package that is none.
    """
    check_extractor(evaluation.extractor)
    for name, metric in METRICS.items():
        if not isinstance(metric, Metric):
            raise RequestError(f"the metric {name!r} of an installed package is no Metric but {metric!r}: uninstall it")
    chosen, file = named(evaluation.extractor)
    extractor, weights = EXTRACTORS.get(chosen), evaluation.inception_weights
    if file is not None and not home_path(file).is_file():
        raise RequestError(f"evaluation.extractor {evaluation.extractor}: there is no file {file}")
    takes_them = extractor is not None and extractor.takes_weights
    if takes_them and weights is not None and not home_path(weights).is_file():
        raise RequestError(f"evaluation.inception_weights: there is no file {weights}")


def choose_extractor(requested: str, metadata: TableMetadata) -> Choice:
    """The extractor for a data set: the requested one where that is possible; for "auto" the best that is there.

    Grey images with labels get a classifier trained on them: ImageNet's features know little of digits and glyphs.
    Colour images get ImageNet's features, where installed.

    Raises:
        RequestError: the request does not fit the data, or nothing that fits is installed.
    """
    check_extractor(requested)
    labelled = metadata.classes_in_use >= 2
    if requested != "auto":
        chosen, file = named(requested)
        if EXTRACTORS[chosen].needs_labels and not labelled:
            others = " or ".join(name for name, extractor in EXTRACTORS.items() if not extractor.needs_labels)
            raise RequestError(
                f"evaluation.extractor {requested!r} learns from labels of two or more classes, "
                f"which the data ({metadata.source}) does not have: choose {others}"
            )
        return Choice(chosen, "as requested", file)
    grey = metadata.channels == 1
    automatic = {name: extractor for name, extractor in EXTRACTORS.items() if extractor.automatic}
    learning = [name for name, extractor in automatic.items() if extractor.needs_labels and labelled]
    ready_made = [name for name in automatic if not automatic[name].needs_labels]
    installed = [name for name in ready_made if automatic[name].installed]
    if grey and learning:
        return Choice(learning[0], "the images are grey and have labels to train one on")
    if installed:
        return Choice(
            installed[0], f"the images are {'grey' if grey else 'colour'}{'' if labelled else ' and have no labels'}"
        )
    if learning:
        return Choice(learning[0], f"the images have labels, and {' or '.join(ready_made)} is not installed")
    asked_for = " or ".join(name for name, extractor in EXTRACTORS.items() if not extractor.automatic)
    raise RequestError(
        f"images without labels ({metadata.source}) need a ready-made extractor: "
        f"{automatic[ready_made[0]].remedy}, or set evaluation.extractor to {asked_for}"
    )

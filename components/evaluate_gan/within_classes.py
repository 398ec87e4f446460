"""Frechet distances class by class, for generators that are asked for classes, real images beside them."""

from __future__ import annotations

import re

from components.evaluate_gan.findings import ClassReading, Reading, WithinClasses
from gan_models.metrics.intra_class import LEAST, ClassDistance, class_distances, class_labels
from gan_models.metrics.judge import Judge
from gan_models.metrics.material import Material
from gan_models.metrics.metric import Comparison
from gan_models.metrics.scores import METRICS

_METRIC = "intra-FD"


def within_classes(seen: Comparison, real: Comparison, material: Material, judge: Judge) -> WithinClasses | None:
    """None where the generator takes no classes, or the reference has none."""
    if "asked" not in seen.has:
        return None
    names, split = judge.table.metadata.class_names, material.split

    def mean(compared: Comparison, prefix: str = "") -> Reading | None:
        score, images = METRICS[_METRIC].of(compared), len(compared.sample)
        name = prefix + judge.name(_METRIC, images, split)
        return None if score is None else Reading(name=name, images=images, **score._asdict())

    def reading(found: ClassDistance, prefix: str = "") -> Reading:
        metric = f"{_METRIC}-of-{plain_name(found.label, names[found.label])}"
        full = prefix + judge.name(metric, found.images, split)
        return Reading(name=full, value=found.distance, std=None, images=found.images)

    ours = seen.shared(class_distances)
    theirs = {found.label: reading(found, "real-") for found in real.shared(class_distances)}
    left_out = class_labels(seen) - {found.label for found in ours}
    return WithinClasses(
        mean=mean(seen),
        real_mean=mean(real, "real-"),
        classes=[
            ClassReading(class_name=names[one.label], generated=reading(one), real=theirs.get(one.label))
            for one in ours
        ],
        left_out=[names[label] for label in sorted(left_out)],
        least=LEAST,
    )


def plain_name(label: int, name: str) -> str:
    """As MLflow takes it: few characters. What loses some gets its number, so that no two are alike."""
    plain = re.sub(r"[^A-Za-z0-9._]+", "-", name)
    return name if plain == name else f"{label}-{plain}".strip("-")


def notes_within_classes(found: WithinClasses | None) -> list[str]:
    """What a reader must know of these figures."""
    if found is None:
        return []
    notes = []
    if found.classes:
        notes.append(
            "Frechet distances within classes are of few images each, so biased upwards more than the one over all: "
            "read each beside that of real images of the class."
        )
    if found.left_out:
        shown = ", ".join(found.left_out[:10]) + (", ..." if len(found.left_out) > 10 else "")
        notes.append(
            f"Frechet distance within classes: {len(found.left_out)} of {len(found.left_out) + len(found.classes)} "
            f"classes have fewer than {found.least} images on one side and are left out ({shown}), and so is the mean."
        )
    return notes

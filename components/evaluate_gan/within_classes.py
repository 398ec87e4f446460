"""Frechet distances class by class, for generators that are asked for classes, real images beside them."""

from __future__ import annotations

import re

from torch import Tensor

from components.evaluate_gan.findings import ClassReading, Reading, WithinClasses
from components.evaluate_gan.material import Material
from gan_models.metrics.intra_class import LEAST, ClassDistance, distances_within_classes
from gan_models.metrics.judge import Judge

_METRIC = "intra-FD"


def within_classes(material: Material, judge: Judge) -> WithinClasses | None:
    """None where the generator takes no classes, or the reference has none."""
    asked = material.samples.inputs.get("labels")
    reference_labels = judge.real_labels(material.split, len(material.reference))
    if asked is None or reference_labels is None:
        return None
    ours = distances_within_classes(material.generated, asked.cpu(), material.reference, reference_labels)
    theirs = distances_within_classes(
        material.real, _labels_of_real(material, judge), material.reference, reference_labels
    )
    real = {found.label: found for found in theirs}
    names = judge.table.metadata.class_names
    measured = {found.label for found in ours}
    wanted = sorted(set(asked.tolist()) | set(reference_labels.tolist()))
    return WithinClasses(
        mean=_mean(ours, wanted, len(material.images), material, judge),
        real_mean=_mean(theirs, wanted, len(material.real), material, judge, "real-"),
        classes=[
            ClassReading(
                class_name=names[found.label],
                generated=_reading(found, names[found.label], material, judge),
                real=_reading(real[found.label], names[found.label], material, judge, "real-")
                if found.label in real
                else None,
            )
            for found in ours
        ],
        left_out=[names[label] for label in wanted if label not in measured],
        least=LEAST,
    )


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


def _labels_of_real(material: Material, judge: Judge) -> Tensor:
    """Classes of `material.real`, which follow the reference where that is of the train split too."""
    skipped = len(material.reference) if material.split == "train" else 0
    labels = judge.real_labels("train", skipped + len(material.real))
    assert labels is not None
    return labels[skipped:]


def _mean(
    found: list[ClassDistance], wanted: list[int], images: int, material: Material, judge: Judge, prefix: str = ""
) -> Reading | None:
    """Over all classes, or nothing: a mean over some of them would be another figure under the same name."""
    if len(found) < len(wanted):
        return None
    value = sum(one.distance for one in found) / len(found)
    return Reading(name=prefix + judge.name(_METRIC, images, material.split), value=value, std=None, images=images)


def _reading(found: ClassDistance, name: str, material: Material, judge: Judge, prefix: str = "") -> Reading:
    # MLflow takes few characters in the name of a metric; what loses some gets its number, so that no two are alike.
    plain = re.sub(r"[^A-Za-z0-9._]+", "-", name)
    plain = name if plain == name else f"{found.label}-{plain}".strip("-")
    full = prefix + judge.name(f"{_METRIC}-of-{plain}", found.images, material.split)
    return Reading(name=full, value=found.distance, std=None, images=found.images)

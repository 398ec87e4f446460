"""From features to findings: every figure of the generator, and what real images get in its place."""

from __future__ import annotations

import torch

from components.evaluate_gan.findings import Classes, Findings, Memorised, Reading, Row, WithinClasses
from components.evaluate_gan.material import Material
from components.evaluate_gan.tasks import task_figures
from components.evaluate_gan.within_classes import notes_within_classes, within_classes
from components.stage.environment import environment
from gan_models.metrics.extractors import Extracted
from gan_models.metrics.judge import Judge
from gan_models.metrics.scores import BETTER, Score, memorisation, parameters, score

_WITHOUT_SPLIT = {"IS"}  # looks at the sample alone
_HEADLINE = ("FD", "KID", "IS", "precision", "recall", "density", "coverage")
_PLENTY = 10_000  # images, below which the bias of FD is worth a warning


def find(material: Material, judge: Judge, *, k: int, seed: int) -> Findings:
    """All figures, with the notes that a reader needs to read them."""
    rows = _rows(material, judge, k)
    classes = _classes(material, judge)
    memorised = _memorised(material)
    count, name = len(material.images), judge.extractor.name
    metrics = {row.generated.name: row.generated.value for row in rows}
    headline = [row.generated.name for row in rows if row.metric in _HEADLINE]
    metrics |= {f"{row.generated.name}-std": row.generated.std for row in rows if row.generated.std is not None}
    if classes is not None:
        metrics[judge.name("confidence", count)] = classes.confidence
        metrics[judge.name("smallest-class", count)] = min(classes.generated_shares)
        if classes.agreement is not None:
            metrics[judge.name("agreement", count)] = classes.agreement
            headline.append(judge.name("agreement", count))
    within = within_classes(material, judge)
    if within is not None:
        metrics |= {one.generated.name: one.generated.value for one in within.classes}
        if within.mean is not None:
            metrics[within.mean.name] = within.mean.value
            headline.append(within.mean.name)
    tasks = task_figures(material, judge, seed)
    metrics |= {task.name: task.value for task in tasks}
    headline += [task.name for task in tasks if task.goes_first]
    if memorised is not None:
        metrics[judge.name("FD-gap", count, material.split)] = memorised.gap
        metrics[judge.name("nearest-ratio", count, material.split)] = memorised.distance_ratio
    metadata = judge.table.metadata
    return Findings(
        metrics=metrics,
        comparison_metrics=_comparison_metrics(rows, within),
        headline=headline,
        rows=rows,
        memorisation=memorised,
        classes=classes,
        within_classes=within,
        tasks=tasks,
        extractor=judge.extractor.describe(),
        extractor_choice=f"{name}: {judge.choice.reason}",
        generated={"images": count, **material.info.model_dump(mode="json")},
        reference={
            "split": material.split,
            "images": len(material.reference),
            "of": metadata.count(material.split),
        },
        real_sample={"split": "train", "images": len(material.real), "of": metadata.count("train")},
        parameters=parameters(count, len(material.reference), k)._asdict(),
        seed=seed,
        data={"source": metadata.source, "fingerprint": metadata.fingerprint},
        environment=environment(),
        notes=[*_notes(material, judge), *notes_within_classes(within)],
    )


def _rows(material: Material, judge: Judge, k: int) -> list[Row]:
    generated = score(material.generated, material.reference, k=k)
    real = score(material.real, material.reference, k=k)
    count, real_count = len(material.images), len(material.real)
    matched: dict[str, Score] = {}
    if real_count < count:
        matched = score(material.generated.part(0, real_count), material.reference, k=k)

    def reading(metric: str, found: Score, images: int, prefix: str = "") -> Reading:
        split = None if metric in _WITHOUT_SPLIT else material.split
        return Reading(name=prefix + judge.name(metric, images, split), images=images, **found._asdict())

    return [
        Row(
            metric=metric,
            better=BETTER[metric],
            generated=reading(metric, found, count),
            real=reading(metric, real[metric], real_count, "real-"),
            generated_at_real=reading(metric, matched[metric], real_count) if matched else None,
        )
        for metric, found in generated.items()
    ]


def _comparison_metrics(rows: list[Row], within: WithinClasses | None) -> dict[str, float]:
    """The real images' figures and the generator's at as many images, by full name."""
    found = {row.real.name: row.real.value for row in rows}
    if within is not None:
        readings = [within.real_mean, *(one.real for one in within.classes)]
        found |= {reading.name: reading.value for reading in readings if reading is not None}
    return found | {row.generated_at_real.name: row.generated_at_real.value for row in rows if row.generated_at_real}


def _memorised(material: Material) -> Memorised | None:
    if material.split == "train":
        return None  # nothing was held out to compare with
    found = memorisation(material.generated, material.training, material.reference, material.unseen)
    return Memorised(**found._asdict())


def _classes(material: Material, judge: Judge) -> Classes | None:
    """Only the data set's own classifier knows its classes."""
    real_labels = judge.real_labels(material.split, len(material.reference))
    logits, real_logits = material.generated.logits, material.reference.logits
    if judge.extractor.name != "classifier" or logits is None or real_logits is None or real_labels is None:
        return None
    seen, real_seen = logits.argmax(dim=1), real_logits.argmax(dim=1)
    names = list(judge.table.metadata.class_names)
    return Classes(
        names=names,
        generated_shares=_shares(seen, len(names)),
        real_shares=_shares(real_seen, len(names)),
        confidence=_confidence(material.generated),
        real_confidence=_confidence(material.reference),
        agreement=None if material.labels is None else float((seen == material.labels.cpu()).double().mean()),
        real_agreement=float((real_seen == real_labels).double().mean()),
    )


def _shares(labels: torch.Tensor, classes: int) -> list[float]:
    shares: list[float] = (torch.bincount(labels, minlength=classes).double() / len(labels)).tolist()
    return shares


def _confidence(extracted: Extracted) -> float:
    assert extracted.logits is not None
    return float(extracted.logits.double().softmax(dim=1).amax(dim=1).mean())


def _notes(material: Material, judge: Judge) -> list[str]:
    """What a reader must know to read the figures, for this sample, this data and this extractor."""
    name = judge.extractor.name
    count, references, real = len(material.images), len(material.reference), len(material.real)
    notes = [
        f"Real images beside the generated ones: {real} of the train split, judged against the same {references} "
        f"images of the {material.split} split. No generator is expected to do better."
    ]
    if real < count:
        notes.append(
            f"There are fewer real images than generated ones: compare the figures of real images with the column of "
            f"the first {real} generated ones, which differs in nothing but the images."
        )
    if min(count, references) < _PLENTY:
        notes.append(
            f"FD is biased upwards when images are few, by about 1/N of either side, and here it sees {count} against "
            f"{references}: read it beside the real images' figure, never against one at another N. KID is unbiased "
            "(and may be slightly negative)."
        )
    if name != "inception-2015":
        notes.append(
            f"Features and logits are those of {name}: the figures can't be compared with published FID, KID and IS."
        )
    if name == "classifier":
        notes.append(
            "The classifier was trained on the train split, so it is a little surer of the real sample's classes."
        )
    if material.split == "train":
        notes.append("The data holds no images back: the generator is compared with images it was trained on.")
    elif material.split != "test":
        notes.append(f"The data has no test split: the reference is the {material.split} split.")
    if material.samples.examples is not None:
        notes.append(
            f"The images were made from {len(material.samples.examples)} images of the {material.split} split, which "
            "is the reference too: whatever is left as it was makes the distances smaller than for images from nothing."
        )
    if material.info.data_fingerprint != judge.table.metadata.fingerprint:
        notes.append(
            "The generator was trained on other data than it is judged by: the memorisation figures do not apply."
        )
    if material.info.collapsed:
        notes.append("The training marked this generator as collapsed.")
    return notes

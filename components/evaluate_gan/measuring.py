"""From features to findings: every figure of the generator, and what real images get in its place."""

import re
from collections.abc import Sequence
from dataclasses import replace

from components.evaluate_gan.findings import (
    Classes,
    ClassReading,
    Findings,
    Reading,
    Row,
    TruncationPoint,
    WithinClasses,
)
from components.stage.environment import environment
from gan_models.metrics.extractors import EXTRACTORS
from gan_models.metrics.intra_class import LEAST, ClassDistance, class_distances, class_labels
from gan_models.metrics.judge import Judge, Material
from gan_models.metrics.memorisation import memorisation
from gan_models.metrics.metric import IS_SPLIT_IMAGES, IS_SPLITS, Comparison
from gan_models.metrics.scores import METRICS, agreement, class_shares, confidence, confusion, score

_PLENTY = 10_000  # images, below which the bias of FD is worth a warning
_MOST_CLASSES = 100  # of a confusion matrix that anybody can read, and that Kubeflow's metadata can hold


def find(material: Material, judge: Judge, *, k: int, seed: int) -> Findings:
    """All figures, with the notes that a reader needs to read them."""
    seen = judge.comparison(material.samples, material.generated, material.reference, material.split, k)
    # Where the reference is of the training images, nothing was held out.
    training = None if material.split == "train" else material.training
    seen = replace(seen, training=training, unseen=material.unseen)
    real = replace(seen, sample=material.real)
    every = _rows(seen, real, judge)
    within = _within_classes(seen, real, judge)
    by_class = [] if within is None else within.classes
    tasks = material.generator.task.measure(material, judge, seed)
    ours = [row.generated for row in every]
    theirs = [row.real for row in every if METRICS[row.metric].beside == "training"]
    theirs += [one.real for one in by_class]
    theirs += [row.generated_at_real for row in every]
    metadata = judge.table.metadata
    return Findings(
        metrics={reading.name: reading.value for reading in ours}
        | {f"{reading.name}-std": reading.std for reading in ours if reading.std is not None}
        | {one.generated.name: one.generated.value for one in by_class}
        | {task.name: task.value for task in tasks},
        comparison_metrics={reading.name: reading.value for reading in theirs if reading is not None},
        # What it is for goes first: a grey colouring may be near the real images.
        headline=[task.name for task in tasks if task.goes_first]
        + [row.generated.name for row in every if METRICS[row.metric].goes_first],
        rows=[row for row in every if METRICS[row.metric].beside == "training"],
        further_rows=[row for row in every if METRICS[row.metric].beside != "training"],
        memorisation=None if seen.training is None else seen.shared(memorisation),
        classes=_classes(seen, judge),
        within_classes=within,
        tasks=tasks,
        protocol=judge.protocol(seen, material.split),
        extractor_choice=f"{judge.extractor.name}: {judge.choice.reason}",
        generated={"images": len(material.samples.images), **material.generator.info.model_dump(mode="json")},
        reference={"split": material.split, "images": len(material.reference), "of": metadata.count(material.split)},
        real_sample={"split": "train", "images": len(material.real), "of": metadata.count("train")},
        seed=seed,
        data={"source": metadata.source, "fingerprint": metadata.fingerprint},
        environment=environment(),
        notes=[*_notes(material, judge, seen), *notes_within_classes(within)],
    )


def _reading(metric: str, compared: Comparison | None, judge: Judge, prefix: str = "") -> Reading | None:
    figure = None if compared is None else METRICS[metric].of(compared)
    if compared is None or figure is None:
        return None
    return Reading(name=prefix + judge.key(metric), images=len(compared.sample), **figure._asdict())


def _rows(seen: Comparison, real: Comparison, judge: Judge) -> list[Row]:
    """One for each metric that applies."""
    few = len(real.sample)
    matched = replace(seen, sample=seen.sample.part(0, few)) if few < len(seen.sample) else None
    beside = {"training": real, "reference": replace(seen, sample=seen.reference), "nothing": None}
    return [
        Row(
            metric=name,
            better=metric.better,
            generated=generated,
            real=_reading(name, beside[metric.beside], judge, "real-"),
            generated_at_real=_reading(name, matched, judge, f"first-{few}-") if metric.beside == "training" else None,
        )
        for name, metric in METRICS.items()
        if (generated := _reading(name, seen, judge)) is not None
    ]


def _within_classes(seen: Comparison, real: Comparison, judge: Judge) -> WithinClasses | None:
    """None where the generator takes no classes, or the reference has none."""
    if "asked" not in seen.has:
        return None
    names = judge.table.metadata.class_names

    def reading(found: ClassDistance, prefix: str = "") -> Reading:
        name = judge.key(f"intra-FD-of-{plain_name(found.label, names[found.label])}")
        return Reading(name=prefix + name, value=found.distance, std=None, images=found.images)

    ours = seen.shared(class_distances)
    theirs = {found.label: reading(found, "real-") for found in real.shared(class_distances)}
    left_out = class_labels(seen) - {found.label for found in ours}
    return WithinClasses(
        mean=_reading("intra-FD", seen, judge),
        real_mean=_reading("intra-FD", real, judge, "real-"),
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


def _classes(seen: Comparison, judge: Judge) -> Classes | None:
    """Only the data set's own classifier knows its classes."""
    if "classes" not in seen.has:
        return None
    names = list(judge.table.metadata.class_names)
    return Classes(
        names=names,
        generated_shares=class_shares(seen.sample),
        real_shares=class_shares(seen.reference),
        confidence=confidence(seen.sample),
        real_confidence=confidence(seen.reference),
        agreement=None if seen.sample.labels is None else agreement(seen.sample),
        real_agreement=agreement(seen.reference),
        confusion=None if seen.sample.labels is None or len(names) > _MOST_CLASSES else confusion(seen.sample),
    )


def _notes(material: Material, judge: Judge, seen: Comparison) -> list[str]:
    """What a reader must know to read the figures, for this sample, this data and this extractor."""
    name, extractor = judge.extractor.name, EXTRACTORS.get(judge.extractor.name)
    count, references, real = len(material.samples.images), len(material.reference), len(material.real)
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
    if "IS" in METRICS and METRICS["IS"].applies(seen) and (splits := seen.parameters.is_splits) < IS_SPLITS:
        notes.append(
            f"The Inception Score is over {splits} split{'s' * (splits > 1)}, not {IS_SPLITS}: one of fewer than "
            f"{IS_SPLIT_IMAGES} images scores too low. Compare it at this N alone."
        )
    if extractor is None or not extractor.published:
        notes.append(
            f"Features and logits are those of {name}: the figures can't be compared with published FID, KID and IS."
        )
    if extractor is not None and extractor.note:
        notes.append(extractor.note)
    if material.split == "train":
        notes.append("The data holds no images back: the generator is compared with images it was trained on.")
    elif material.split != "test":
        notes.append(f"The data has no test split: the reference is the {material.split} split.")
    if material.samples.examples is not None:
        notes.append(
            f"The images were made from {len(material.samples.examples)} images of the {material.split} split, which "
            "is the reference too: whatever is left as it was makes the distances smaller than for images from nothing."
        )
    if material.generator.info.data_fingerprint != judge.table.metadata.fingerprint:
        notes.append(
            "The generator was trained on other data than it is judged by: the memorisation figures do not apply."
        )
    if material.generator.info.collapsed:
        notes.append("The training marked this generator as collapsed.")
    return notes + [
        f"No {metric.title}: that means something from {metric.least} images on either side."
        if not metric.applies(seen)
        else f"No {metric.title}: {count} images against {references} are too few for it."
        for name, metric in METRICS.items()
        if seen.has.issuperset(metric.needs) and metric.of(seen) is None and name != "intra-FD"  # has notes of its own
    ]


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


def truncation_curve(material: Material, judge: Judge, thresholds: Sequence[float], seed: int) -> list[TruncationPoint]:
    """IS against FD of truncated latents (Brock, Donahue, Simonyan 2019, section 3.1); empty where none are asked for.

    The generator as it is comes first, then each threshold from the largest.
    Each point has as many images, of the same classes and the same first draws, as the sample that is judged.

    Raises:
        RequestError: the generator takes no latents.
    """
    if not thresholds:
        return []
    points = []
    for threshold in (None, *sorted(set(thresholds), reverse=True)):
        sample = material.generated
        if threshold is not None:
            samples = material.generator.sample(
                len(material.samples.images),
                seed=seed,
                labels=material.samples.inputs.get("labels"),
                examples=material.samples.examples,
                truncation=threshold,
            )
            sample = judge.generated(samples, f"features at truncation {threshold:g}")
        figures = score(Comparison(sample, material.reference), ("FD", "IS"))
        inception = figures["IS"].value if "IS" in figures else None
        points.append(TruncationPoint(threshold=threshold, fd=figures["FD"].value, inception_score=inception))
    return points

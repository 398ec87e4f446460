"""Figures of what a generator is for, beyond how real its images look: translating, colouring."""

from __future__ import annotations

import torch
from torch import Tensor

from components.evaluate_gan.findings import TaskFigure
from components.evaluate_gan.material import Material
from gan_models.errors import RequestError
from gan_models.metrics.classifier import Classifier
from gan_models.metrics.colours import measure_colours, measure_following
from gan_models.metrics.intra_class import distance_within_domains
from gan_models.metrics.judge import Judge
from gan_models.metrics.scores import metric_name
from gan_models.metrics.translation import measure_translation

_BY_DOMAINS = "domain-classifier"


def task_figures(material: Material, judge: Judge, seed: int) -> list[TaskFigure]:
    """The figures that apply: none for generators that are given nothing but latents and classes."""
    inputs = material.generator.module.inputs
    if material.samples.examples is None:
        return []
    if inputs == ("images", "domains"):
        return _translation(material, judge)
    if inputs == ("images", "hints"):
        return _colorization(material, seed)
    return []


def _translation(material: Material, judge: Judge) -> list[TaskFigure]:
    domains = judge.classifier(of="domains")
    labels = _classifier_of_labels(judge)
    found = measure_translation(material.generator, material.samples, domains, labels)
    count, split = len(material.images), material.split
    figures = [
        TaskFigure(
            name=metric_name("domain-reached", _BY_DOMAINS, count),
            title="translated images taken for the domain asked for",
            value=found.reached,
            real=domains.accuracy.get(split),
            better="higher",
            is_share=True,
        )
    ]
    if found.kept is not None and labels is not None:
        figures.append(
            TaskFigure(
                name=metric_name("label-kept", labels.name, count),
                title="translated images taken for the class of the image they were made from",
                value=found.kept,
                real=labels.accuracy.get(split),
                better="higher",
                is_share=True,
            )
        )
    figures.append(
        TaskFigure(
            name=f"cycle-error-{count}",
            title="difference between an image and its translation back (share of the range of pixels)",
            value=found.cycle_error,
            better="lower",
        )
    )
    real_domains = judge.real_domains(split, len(material.reference))
    if real_domains is not None:
        figures.append(_within_domains(material, judge, real_domains))
    return figures


def _within_domains(material: Material, judge: Judge, real_domains: Tensor) -> TaskFigure:
    targets = material.samples.inputs["domains"]
    return TaskFigure(
        name=judge.name("FD-within-domains", len(material.images), material.split),
        title="Frechet distance within each domain, mean over domains",
        value=distance_within_domains(material.generated, targets, material.reference, real_domains),
        better="lower",
    )


def _colorization(material: Material, seed: int) -> list[TaskFigure]:
    examples, largest = material.samples.examples, material.generator.module.hint_size
    assert examples is not None
    assert isinstance(largest, int)
    figures = []
    for colours in measure_colours(material.generator, examples, largest, seed):
        hints = "1 hint" if colours.hints == 1 else f"{colours.hints} hints"
        about = f"{hints.replace(' ', '-')}-{material.split}-{len(examples)}"
        figures += [
            TaskFigure(
                name=f"colour-error-{about}",
                title=f"difference to the true colours with {hints} (share of the range of pixels)",
                value=colours.error,
                better="lower",
            ),
            TaskFigure(
                name=f"PSNR-{about}",
                title=f"PSNR with {hints} (dB)",
                value=colours.psnr,
                better="higher",
                goes_first=False,
            ),
        ]
    followed = measure_following(material.generator, examples, largest, seed)
    if followed.images:
        figures.append(
            TaskFigure(
                name=f"hint-followed-{followed.images}",
                title="hints of another colour that are nearer to what is drawn there than the true colour is",
                value=followed.share,
                better="higher",
                is_share=True,
            )
        )
    return figures


def _classifier_of_labels(judge: Judge) -> Classifier | None:
    """Of the data's labels, where it has any to tell apart."""
    if isinstance(judge.extractor, Classifier):
        return judge.extractor
    try:
        return judge.classifier(of="labels")
    except RequestError:
        return None


def source_rows(material: Material, rows: int) -> Tensor | None:
    """Uint8 [2 rows, H, W, C]: an image and what was made of it, in turn; None where images were made from none."""
    sources = material.samples.sources
    if sources is None or "images" not in material.samples.inputs:
        return None
    count = min(rows, len(material.images))
    return torch.stack([sources[:count], material.images[:count]], dim=1).flatten(0, 1)

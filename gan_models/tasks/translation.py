"""Images of one domain from those of another."""

from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from gan_models.data.table import Split, to_float, to_uint8
from gan_models.errors import RequestError
from gan_models.families.interfaces import Generator, Inputs
from gan_models.metrics.classifier import Classifier
from gan_models.metrics.extraction import FeatureExtractor
from gan_models.metrics.judge import Judge, Material
from gan_models.metrics.scores import metric_key
from gan_models.sampling.draws import Draws
from gan_models.sampling.generator import LoadedGenerator, Samples
from gan_models.tasks.base import Answer, Asked, Column, Row, TaskFigure
from gan_models.tasks.from_images import FromImages
from gan_models.tasks.latent import position_of

_BY_DOMAINS = "domain-classifier"


class Translation(FromImages):
    """Example i modulo their number, to each other domain in turn: every round takes the next one."""

    random: ClassVar[bool] = False

    def draw(self, module: Generator, draws: Draws, *, labels: Tensor | None, examples: Split | None) -> Inputs:
        if examples is None or examples.domains is None:
            raise ValueError("it translates images: give it examples with their domains")
        index, round_ = draws.numbers % len(examples), draws.numbers // len(examples)
        # Within a round, too, targets differ from one example to the next.
        step = 1 + (index + round_) % (module.num_domains - 1)
        index = index.to(examples.images.device)
        domains = (examples.domains[index].cpu() + step) % module.num_domains
        return {"images": to_float(examples.images[index]).cpu(), "domains": domains}

    def distinct(self, module: Generator, examples: int) -> int | None:
        return examples * (module.num_domains - 1)

    def given(self, inputs: Inputs) -> Tensor | None:
        return inputs["images"]

    def made(self, generator: LoadedGenerator, asked: Asked | None = None) -> tuple[str, ...]:
        return generator.info.domain_names

    def before_and_after(
        self, generator: LoadedGenerator, examples: Split, seed: int, first: int = 0, asked: Asked | None = None
    ) -> dict[str, Tensor]:
        """The image, then itself in every domain."""
        images = to_float(examples.images).cpu()
        columns = {"image": to_uint8(images)}
        for number, name in enumerate(generator.info.domain_names):
            domains = torch.full((len(images),), number)
            columns[name] = generator.synthesize({"images": images, "domains": domains}).images
        return columns

    def measure(self, material: Material, judge: Judge, seed: int) -> list[TaskFigure]:
        """Whether the domain is reached, the rest kept, and the way back leads back."""
        samples, split = material.samples, material.split
        domains, labels = judge.classifier(of="domains"), _classifier_of_labels(judge)
        found = measure_translation(material.generator, samples, domains, labels)
        reached = TaskFigure(
            name=metric_key("domain-reached", _BY_DOMAINS),
            title="translated images taken for the domain asked for",
            value=found.reached,
            real=domains.accuracy.get(split),
            better="higher",
            is_share=True,
        )
        cycle_error = TaskFigure(
            name="cycle-error",
            title="difference between an image and its translation back (share of the range of pixels)",
            value=found.cycle_error,
            better="lower",
        )
        if found.kept is None or labels is None:
            return [reached, cycle_error]
        kept = TaskFigure(
            name=metric_key("label-kept", labels.name),
            title="translated images taken for the class of the image they were made from",
            value=found.kept,
            real=labels.accuracy.get(split),
            better="higher",
            is_share=True,
        )
        return [reached, kept, cycle_error]

    def columns(self, generator: LoadedGenerator) -> tuple[Column, ...]:
        """An image, and the domain to take it to, by name or number."""
        return (Column("image", "string", required=True), Column("domain", "string", required=True))

    def example_rows(self, generator: LoadedGenerator) -> list[Row]:
        image = self.example_image(generator)
        return [{"image": image, "domain": name} for name in generator.info.domain_names[:2]]

    def answer_row(self, generator: LoadedGenerator, row: Row) -> Answer:
        names = generator.info.domain_names
        domain = position_of("domain", row["domain"], names)
        inputs = {"images": self.image_of(generator, row), "domains": torch.tensor([domain])}
        return Answer(generator.synthesize(inputs).images[0], {"domain": names[domain]})


def _classifier_of_labels(judge: Judge) -> Classifier | None:
    """Of the data's labels, where it has any to tell apart."""
    if isinstance(judge.extractor, Classifier):
        return judge.extractor
    try:
        return judge.classifier(of="labels")
    except RequestError:
        return None


class Translated(NamedTuple):
    """Figures of translated images."""

    reached: float  # share of the images that a classifier of domains takes for the domain asked for
    kept: float | None
    """Share that a classifier of labels takes for the label of the image they were made from; None without labels."""
    cycle_error: float
    """Mean absolute difference of an image and its translation back, as a share of the range of pixels."""


def measure_translation(
    generator: LoadedGenerator, samples: Samples, domains: FeatureExtractor, labels: FeatureExtractor | None
) -> Translated:
    """Figures of `samples`, which `generator` made of examples with domains.

    Args:
        domains: a classifier of the data's domains.
        labels: one of its labels, where it has any.
    """
    sources, source_domains = samples.sources, samples.source_domains
    assert sources is not None
    assert source_domains is not None
    returned = generator.synthesize({"images": to_float(samples.images), "domains": source_domains}).images
    kept = None
    if labels is not None and samples.labels is not None:
        known = samples.labels >= 0
        kept = _share_named(labels, samples.images[known], samples.labels[known])
    return Translated(
        reached=_share_named(domains, samples.images, samples.inputs["domains"]),
        kept=kept,
        cycle_error=float((returned.double() - sources.cpu().double()).abs().mean() / 255),
    )


def _share_named(classifier: FeatureExtractor, images: Tensor, asked: Tensor) -> float:
    logits = classifier.features_and_logits(images).logits
    assert logits is not None
    return float((logits.argmax(1) == asked.cpu()).double().mean())

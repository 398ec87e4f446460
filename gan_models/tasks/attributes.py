"""Images that are given attributes, or have them taken away, several at once."""

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from gan_models.data.table import Split, to_float, to_uint8
from gan_models.errors import RequestError, unknown_name
from gan_models.families.interfaces import Generator, Inputs
from gan_models.metrics.extraction import FeatureExtractor
from gan_models.metrics.judge import Judge, Material
from gan_models.metrics.scores import metric_key
from gan_models.sampling.draws import Draws
from gan_models.sampling.generator import LoadedGenerator, Samples
from gan_models.tasks.base import Answer, Asked, Column, Row, TaskFigure
from gan_models.tasks.from_images import FromImages

_BY_ATTRIBUTES = "attribute-classifier"
_CHANGED = "changed"


class Attributes(FromImages):
    """Example i modulo their number, with one attribute turned round: every round takes the next one."""

    random: ClassVar[bool] = False
    takes: ClassVar[frozenset[str]] = FromImages.takes | {"attributes"}

    def draw(self, module: Generator, draws: Draws, *, labels: Tensor | None, examples: Split | None) -> Inputs:
        if examples is None or examples.attributes is None:
            raise ValueError("it changes attributes of images: give it examples with their attributes")
        index, round_ = draws.numbers % len(examples), draws.numbers // len(examples)
        # Within a round, too, what changes differs from one example to the next.
        turned = (index + round_) % module.num_attributes
        index = index.to(examples.images.device)
        attributes = examples.attributes[index].cpu().float()
        attributes[torch.arange(len(attributes)), turned] = 1 - attributes[torch.arange(len(attributes)), turned]
        return {"images": to_float(examples.images[index]).cpu(), "attributes": attributes}

    def distinct(self, module: Generator, examples: int) -> int | None:
        return examples * module.num_attributes

    def given(self, inputs: Inputs) -> Tensor | None:
        return inputs["images"]

    def made(self, generator: LoadedGenerator, asked: Asked | None = None) -> tuple[str, ...]:
        return generator.info.attribute_names if asked is None or asked.attributes is None else (_CHANGED,)

    def before_and_after(
        self, generator: LoadedGenerator, examples: Split, seed: int, first: int = 0, asked: Asked | None = None
    ) -> dict[str, Tensor]:
        """The image, then itself with what was asked for; by default with each attribute in turn turned round.

        Of an image whose attributes are not known, such as a user's own, it is taken that it has none.
        """
        names = generator.info.attribute_names
        images = to_float(examples.images).cpu()
        own = torch.zeros(len(images), len(names))
        if examples.attributes is not None:
            own = examples.attributes.cpu().float()
        wanted = {name: _turned(own, place) for place, name in enumerate(names)}
        if asked is not None and asked.attributes is not None:
            wanted = {_CHANGED: with_attributes(own, asked.attributes, names)}
        columns = {"image": to_uint8(images)}
        for name, attributes in wanted.items():
            columns[name] = generator.synthesize({"images": images, "attributes": attributes}).images
        return columns

    def about(self, generator: LoadedGenerator, asked: Asked) -> dict[str, Any]:
        """What is made of each image."""
        said = {} if asked.attributes is None else {"attributes": asked.attributes}
        return {"made": list(self.made(generator, asked)), **said}

    def measure(self, material: Material, judge: Judge, seed: int) -> list[TaskFigure]:
        """Whether each attribute turns where it is asked to, the others stay, and the way back leads back."""
        classifier = judge.classifier(of="attributes")
        found = measure_attributes(material.generator, material.samples, classifier)
        real = classifier.accuracy.get(material.split)
        shares = {
            "attribute-reached": ("attributes that turned as asked", found.reached),
            **{
                f"attribute-reached-{name}": (f"the same of {name!r}", share)
                for name, share in zip(material.generator.info.attribute_names, found.each, strict=True)
            },
            "attributes-kept": ("attributes that were to stay and did", found.kept),
        }
        figures = [
            TaskFigure(
                name=metric_key(name, _BY_ATTRIBUTES),
                title=title,
                value=value,
                real=real,
                better="higher",
                is_share=True,
            )
            for name, (title, value) in shares.items()
        ]
        cycle_error = TaskFigure(
            name="cycle-error",
            title="difference between an image and itself turned there and back (share of the range of pixels)",
            value=found.cycle_error,
            better="lower",
        )
        return [*figures, cycle_error]

    def columns(self, generator: LoadedGenerator) -> tuple[Column, ...]:
        """An image, and the attributes that it is to have, of those it is taken to have none of."""
        return (Column("image", "string", required=True), Column("attributes", "string", required=True))

    def example_rows(self, generator: LoadedGenerator) -> list[Row]:
        image, names = self.example_image(generator), generator.info.attribute_names
        return [{"image": image, "attributes": names[0]}, {"image": image, "attributes": ", ".join(names)}]

    def answer_row(self, generator: LoadedGenerator, row: Row) -> Answer:
        names = generator.info.attribute_names
        attributes = with_attributes(torch.zeros(1, len(names)), row["attributes"], names)
        inputs = {"images": self.image_of(generator, row), "attributes": attributes}
        held = [name for name, value in zip(names, attributes[0].tolist(), strict=True) if value]
        return Answer(generator.synthesize(inputs).images[0], {"attributes": ", ".join(held)})


def with_attributes(own: Tensor, asked: str, names: Sequence[str]) -> Tensor:
    """Attributes float [N, A] after what is asked for, as `large, -warm`: set where named, cleared behind a minus.

    RequestError for a name that there is not.
    """
    attributes = own.clone()
    for part in filter(None, (part.strip() for part in asked.split(","))):
        cleared = part not in names and part.startswith("-")
        name = part[1:].strip() if cleared else part
        if name not in names:
            raise unknown_name("attribute", name, names)
        attributes[:, list(names).index(name)] = 0.0 if cleared else 1.0
    return attributes


def _turned(own: Tensor, place: int) -> Tensor:
    """Attributes [N, A] with the one at `place` the other way round."""
    turned = own.clone()
    turned[:, place] = 1 - turned[:, place]
    return turned


class Changed(NamedTuple):
    """Figures of images with one attribute turned round each."""

    reached: float  # share of the images whose turned attribute a classifier finds as asked
    each: list[float]  # the same of each attribute, by place
    kept: float  # share of the other attributes that it finds as they were
    cycle_error: float  # mean absolute difference of an image and itself turned back, as a share of the range of pixels


def measure_attributes(generator: LoadedGenerator, samples: Samples, classifier: FeatureExtractor) -> Changed:
    """Figures of `samples`, which `generator` made of examples with attributes, by a classifier of these."""
    asked, own, sources = samples.inputs["attributes"].cpu(), samples.source_attributes, samples.sources
    if own is None or sources is None:
        raise RequestError("attributes are measured on images whose attributes are known: give examples with theirs")
    logits = classifier.features_and_logits(samples.images).logits
    assert logits is not None
    right = (logits > 0) == (asked > 0.5)
    turned = asked != own
    returned = generator.synthesize({"images": to_float(samples.images), "attributes": own}).images
    return Changed(
        reached=_share(right[turned]),
        each=[_share(right[turned[:, place], place]) for place in range(asked.shape[1])],
        kept=_share(right[~turned]),
        cycle_error=float((returned.double() - sources.cpu().double()).abs().mean() / 255),
    )


def _share(right: Tensor) -> float:
    return float(right.double().mean())

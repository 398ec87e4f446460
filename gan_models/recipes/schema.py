"""The typed shape of a recipe: one document with a section for each stage of the pipeline.

`data` shapes what is trained on, `networks`..`training` say which GAN is trained and how, `selection`, `evaluation` and
`export` say how it is judged and handed over. Unknown keys are refused, with the nearest right name
(`gan_models.recipes.load_recipe`). The sections that decide the trained weights are exactly `MODEL_SECTIONS`.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, get_args

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from gan_models.data.shape import Size
from gan_models.data.sources.base import CLASSES, Fields
from gan_models.errors import RequestError
from gan_models.families import FAMILIES
from gan_models.families.base import DiscriminatorSpec, GeneratorSpec
from gan_models.games import GAMES
from gan_models.games.adversarial.spec import Adversarial
from gan_models.games.spec import GameSpec
from gan_models.recipes.made_for import MadeFor
from gan_models.regularizers import REGULARIZERS, Regularizer
from gan_models.schedules import USUAL, ByShare, Linear, Ramp, Schedule, Scheduled, scheduled, schedules_in
from gan_models.sections import (
    Growth,
    ImageSize,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveInt,
    Section,
    Share,
    ValueRange,
    one_of,
)

if TYPE_CHECKING:
    AnyGenerator = GeneratorSpec
    AnyDiscriminator = DiscriminatorSpec
    AnyGame = GameSpec
    AnyRegularizer = Regularizer
else:
    _players = {name: family.players for name, family in FAMILIES.items()}
    AnyGenerator, AnyDiscriminator = (
        one_of({name: has[player] for name, has in _players.items() if player in has}, "family", kind=FAMILIES.kind)
        for player in ("generator", "discriminator")
    )
    AnyGame = one_of(GAMES, "kind", kind=GAMES.kind, default="adversarial")
    AnyRegularizer = one_of(REGULARIZERS, "name", kind=REGULARIZERS.kind)

MODEL_SECTIONS = ("networks", "conditioning", "game", "regularizers", "optimizers", "training")


class Data(Section):
    """What `prepare_data` makes of a source."""

    source: str = Field(
        "mnist-5k",
        description="mnist-5k, digits, torchvision:<Class>, toy:<name>, hf:<name>, or a path: a folder, "
        ".zip, .tar, .parquet, .npz, .hdf5, .lmdb, here or at s3://, gs://, https://",
    )
    size: ImageSize = Field(Size.square(32), description="side of square images in pixels, or [height, width]")
    channels: Literal["auto", "grey", "rgb", "rgba"] = Field(
        "auto",
        description="auto: grey when the source's images all are; rgba: what is transparent stays so, in a fourth "
        "channel, and else becomes white",
    )
    depth: Literal[8, 16] = Field(
        8,
        description="bits of a value; 16, of grey images: kept in the table, in training, and in the images that are "
        "written; metrics and pictures see 8",
    )
    range: ValueRange = Field(
        "auto",
        description="which values of the files become black and white; auto: 0 to 255, of more bits the least number "
        "of them (10, 12, 14, 16) that holds every value of the images looked at first, of floats [0, 1], [-1, 1] or "
        "[0, 255] likewise; full: all that 8 bits, 16 bits, or floats from 0 to 1 can be; used: the least and the "
        "largest value of those images, beyond which values are cut off; [low, high]: these, likewise (a window)",
    )
    resize: Literal["nearest", "box", "bilinear", "bicubic", "lanczos"] = Field(
        "bicubic", description="filter that images of another size are resized with"
    )
    fit: Literal["crop", "pad"] = Field(
        "crop", description="images of another form than data.size get it by centre crop or padding"
    )
    validation: Share = Field(0.1, description="share of the images checkpoints are selected on")
    test: Share = Field(0.1, description="share of the images the reported figures are measured against")
    split_seed: NonNegativeInt = Field(0, description="decides which images are held out")
    repeats: Literal["once", "keep"] = Field(
        "once",
        description="of images that are equal pixel by pixel, with the same label, caption, domain and attributes: "
        "once keeps one; keep all, each in a split of its own, so that what was trained on is also held out",
    )
    max_images: PositiveInt | None = Field(None, description="use at most this many images")
    storage: Literal["pixels", "encoded"] = Field(
        "pixels",
        description="encoded: images take about half of the disk, compressed without loss, and are decoded when they "
        "are asked for; pixels: as they are",
    )
    workers: PositiveInt = Field(
        1,
        description="tasks of a pipeline that import the images, each some of the shards; the data set is the same",
    )
    grow: Growth = Field(
        False,
        description="take over the rows of the table that was last made in this way of this source: only images that "
        "are new are decoded and written, all others keep their split and place. true: the last one on this machine; "
        "s3://bucket/tables or gs://: the table is kept there, taken up by whatever machine, and only new shards are "
        "sent",
    )
    max_bad_share: Share = Field(0.01, description="above this share of unreadable images the stage stops")
    image: str | None = Field(
        None, description="column or array that holds the images, or names them in a table beside them"
    )
    label: str | None = Field(None, description="column or array that holds their classes; none: they are of no class")
    caption: str | None = Field(None, description="column that holds their captions; none: they have no captions")
    domain: str | None = Field(
        None,
        description="column that holds their domains; classes: where there are no domains, classes serve as such (so "
        "by itself for recipes that need domains); none: they have no domains",
    )
    attributes: tuple[str, ...] | Literal["none"] | None = Field(
        None, description="those that are read, by their names; none: of these images nothing is said"
    )
    pairs: Literal["by-name", "side-by-side", "none"] | None = Field(
        None,
        description="by-name: images of equal names in folders A and B, or trainA and trainB; side-by-side: the halves "
        "of each picture, A on the left; none: folders A and B are classes",
    )
    direction: Literal["AtoB", "BtoA"] = Field("AtoB", description="which side of a pair is made from which")
    unlabelled: Literal["keep", "drop"] | None = Field(
        None,
        description="images without a label among others that have one: keep, as by itself, trains on them what goes "
        "without labels; drop, as by itself for recipes that need labels of all, leaves them out",
    )

    @model_validator(mode="after")
    def _deep_images_are_grey(self) -> Data:
        if self.depth > 8 and self.channels in ("rgb", "rgba"):
            raise ValueError(f"depth={self.depth} keeps grey images: set channels to grey or auto, or depth to 8")
        if self.depth > 8 and self.storage == "encoded":
            raise ValueError(f"depth={self.depth} is kept as pixels, what is encoded has 8 bits: set storage to pixels")
        return self

    @model_validator(mode="after")
    def _training_images_remain(self) -> Data:
        if self.validation + self.test >= 1.0:
            raise ValueError("validation + test must be below 1, or nothing is left to train on")
        return self

    @model_validator(mode="after")
    def _workers_are_apart(self) -> Data:
        if self.workers > 1 and (self.grow or self.repeats == "keep"):
            what = "grow takes over rows" if self.grow else "repeats=keep gives each copy a place"
            raise ValueError(f"{what} with all images in view, which none of {self.workers} workers has: set workers=1")
        return self

    @property
    def fields(self) -> Fields:
        """What of the source is read, and as what."""
        return Fields(**{each.name: getattr(self, each.name) for each in dataclasses.fields(Fields)})


class Networks(Section):
    """The two players."""

    latent: PositiveInt = Field(100, description="dimensions of z, drawn from N(0, I)")
    uniform: tuple[float, float] | None = Field(
        None, description="z is uniform between these two numbers, as early papers have it, and not from N(0, I)"
    )
    generator: AnyGenerator
    discriminator: AnyDiscriminator


class Conditioning(Section):
    """How class labels reach the players."""

    generator: Literal["none", "one-hot", "embedding", "batch-norm"] = Field(
        "none",
        description="one-hot, embedding: joined to the latent, as it is or as learnt; batch-norm: gains and biases of "
        "batch norm by class",
    )
    discriminator: Literal["none", "concat", "projection", "classifier"] = Field(
        "none",
        description="concat: label planes joined to the image; projection: <E(y), h> joins the logit; "
        "classifier: a second head names the class (ACGAN)",
    )

    @model_validator(mode="after")
    def _both_or_neither(self) -> Conditioning:
        if (self.generator == "none") != (self.discriminator == "none"):
            raise ValueError("labels must reach both players or neither: set generator and discriminator together")
        return self

    def check(self, recipe: Recipe) -> None:
        """Raises RequestError for another layer that a projection leaves no place for."""
        discriminator = recipe.networks.discriminator
        if self.discriminator == "projection" and discriminator.get("minibatch", "none") not in discriminator.projects:
            raise RequestError(
                "networks.discriminator.minibatch and a projection head both reshape the features: set "
                "networks.discriminator.minibatch=none or conditioning.discriminator=concat"
            )


if TYPE_CHECKING:
    Rate: TypeAlias = Scheduled
    Decay: TypeAlias = Scheduled
    AverageDecay: TypeAlias = Scheduled
    BatchSize: TypeAlias = Scheduled
else:
    Rate = scheduled(gt=0.0)
    Decay = scheduled(ge=0.0, le=1.0)
    AverageDecay = scheduled(forms=[*USUAL, "half_life"], ge=0.0, lt=1.0)
    BatchSize = scheduled(int, forms=["by_resolution"], ge=1)


class Optimizer(Section):
    """How one player follows its gradient."""

    name: Literal["adam", "rmsprop", "sgd"] = Field(
        "adam", description="rmsprop: as WGAN with clipped weights has it; sgd: as the first GANs were trained"
    )
    lr: Rate = Field(2e-4, description="learning rate; different ones for the players are TTUR")
    betas: tuple[Decay, Decay] = Field(
        (0.5, 0.999), description="adam only: decay of the mean of gradients, and of their squares"
    )
    momentum: Decay = Field(0.0, description="sgd only: share of the last step that the next one goes on with")


class Optimizers(Section):
    """Of both players."""

    generator: Optimizer = Optimizer()
    discriminator: Optimizer = Optimizer()
    decay_from: Share = Field(1.0, description="share of the steps after which both rates fall linearly to zero")

    @property
    def decay(self) -> Scheduled:
        """The factor of both rates."""
        return Linear(linear=(1.0, 0.0), since=self.decay_from) if self.decay_from < 1.0 else 1.0


class Training(Section):
    """How long, in what precision, and what is watched and kept on the way."""

    steps: PositiveInt = Field(description="generator steps")
    batch_size: BatchSize = Field(
        64, description="real images, and generated ones, of each step; game.kind=cycle: of each domain"
    )
    accumulate: PositiveInt = Field(
        1,
        description="parts that a batch is worked on in, one after the other, before the players move: memory for one "
        "part is enough, and batch norm sees one at a time",
    )
    precision: Literal["bf16", "fp32"] = Field(
        "bf16",
        description="bf16: matrix products and convolutions in half precision, weights and losses in fp32; where the "
        "device has no instructions for it, all is in fp32",
    )
    compile: bool = Field(
        False,
        description="networks compiled by torch.compile: the first step takes a minute or more, each one after it less "
        "time; needs a C++ compiler; a player whose gradient is differentiated stays as it is",
    )
    ema: AverageDecay = Field(0.999, description="decay of the generator's moving average")
    tick: PositiveInt = Field(100, description="steps between reports: metrics, sample grid, health check")
    keep: PositiveInt = Field(10, description="generators kept for selection, evenly spaced, the last one included")
    checkpoint_seconds: NonNegativeFloat = Field(
        15.0,
        description="at most this much work is lost when a process dies, more where saving it so often would cost over "
        "5 % of the time; 0: saved at every step",
    )
    on_nan: Literal["stop", "flag"] = Field("stop", description="a loss or weight that is not finite ends the run")
    on_collapse: Literal["stop", "flag"] = Field("flag", description="flag: the generator is kept and marked")
    min_diversity: NonNegativeFloat = Field(
        0.1, description="collapse: fixed-latent samples differ less than this share of what real images do"
    )
    flip: bool = Field(
        False, description="training images are mirrored left-right with a probability of 1/2, pairs alike"
    )
    load_size: PositiveInt | None = Field(
        None,
        description="the shorter side of training images is enlarged to so many pixels, and data.size cut out at a "
        "random place; none: they are taken whole",
    )
    threads: PositiveInt | None = Field(None, description="CPU threads; equal counts give bit-equal weights")
    ranks: PositiveInt | None = Field(
        None, description="processes that train together, each on its rows of every batch; none: one for each GPU"
    )

    @property
    def batch_sizes(self) -> tuple[int, ...]:
        """Every batch size that there is in the course of it."""
        given = self.batch_size
        return tuple(map(int, given.values)) if isinstance(given, Schedule) else (int(given),)


Extractor = Literal["auto", "classifier", "efficientnet-lite0", "inception-2015", "onnx", "dinov2", "clip"]


_FILES = ("onnx", "dinov2", "clip")


def _is_extractor(given: Any) -> Any:
    """One of the names, some of them with a file of the user's own; the error is that of a `Literal`."""
    if given in get_args(Extractor) or (isinstance(given, str) and given.partition(":")[0] in _FILES):
        return given
    choices = [repr(f"{name}:PATH" if name in _FILES else name) for name in get_args(Extractor)]
    expected = f"{', '.join(choices[:-1])} or {choices[-1]}"
    raise PydanticCustomError("literal_error", "Input should be {expected}", {"expected": expected})


class Selection(Section):
    """How the best of the kept generators is chosen, on the validation split."""

    samples: PositiveInt = Field(1000, description="images drawn from each kept checkpoint")


FLOORS = {"recall": 0.1, "coverage": 0.3}
"""What a collapsed generator does not reach, and others do: the least of the built-in recipes on digits are 0.30 and
0.70 (benchmarks/zoo.jsonl). A distance has no floor by default: what is near depends on data and extractor."""

Floor = Annotated[
    Annotated[float, Field(allow_inf_nan=False)] | None,
    Field(description="the least that will do, the most where lower is better; null: no such floor"),
]


def _with_usual_floors(given: Any) -> Any:
    """As in a section, what is left out is as by default."""
    return {**FLOORS, **given} if isinstance(given, Mapping) else given


class Evaluation(Section):
    """How the chosen generator is judged, on the test split."""

    extractor: Annotated[str, BeforeValidator(_is_extractor)] = Field(
        "auto", description="whose features the figures are made of, in selection too"
    )
    inception_weights: str | None = Field(None, description="path of the 2015 Inception weights, when not downloadable")
    samples: PositiveInt = Field(5000, description="generated images N that the figures are measured on")
    neighbours: PositiveInt = Field(5, description="nearest neighbours k of precision, recall, density and coverage")
    truncations: tuple[Annotated[float, Field(ge=0.02)], ...] = Field(
        (), description="thresholds that latents are also cut off at, for a curve of IS against FD"
    )
    floors: Annotated[dict[str, Floor], BeforeValidator(_with_usual_floors)] = Field(
        {**FLOORS}, description="figures by their metrics without which no generator becomes the champion"
    )


MODEL_NAME = re.compile(r"(?!\.+$)[^/:\\\x00-\x1f\x7f]{1,200}")
"""What a registered model may be called: MLflow takes no / and :, and nothing may be a path."""


def _is_model_name(name: str) -> str:
    if not MODEL_NAME.fullmatch(name):
        raise ValueError("a model's name is up to 200 characters without / : \\ and is not dots alone")
    return name


ModelName = Annotated[str, AfterValidator(_is_model_name)]


class Export(Section):
    """What is handed over besides the generator itself."""

    samples: PositiveInt = Field(64, description="individual images and rows of samples.parquet")
    model_name: ModelName | None = Field(None, description="name in the MLflow registry; default: recipe and data")


class Recipe(Section):
    """A whole GAN as data: what it is trained on, which networks play which game, how it is judged and exported."""

    name: str = Field(description="how the recipe is called")
    description: str = Field("", description="what it is, in a line")
    paper: str = Field("", description="where the system comes from")
    builds_on: str = Field("", description="the recipe it grew out of, for the family tree")
    made_for: MadeFor | None = None
    data: Data = Data()
    networks: Networks
    conditioning: Conditioning = Conditioning()
    game: AnyGame = Adversarial()
    regularizers: tuple[AnyRegularizer, ...] = Field(
        (), description="terms added to a player's loss, as in 'regularizers=[{name: r1, weight: 10}]'"
    )
    optimizers: Optimizers = Optimizers()
    training: Training
    selection: Selection = Selection()
    evaluation: Evaluation = Evaluation()
    export: Export = Export()

    @property
    def conditional(self) -> bool:
        """Whether the generator takes class labels."""
        return self.conditioning.generator != "none"

    @property
    def needs(self) -> frozenset[str]:
        """What each training image must carry besides its pixels: `labels`, `domains`, `captions`, `embeddings`,
        `attributes`, `partners`."""
        needed = set(self.game.carried | self.networks.generator.needs)
        if self.conditional:
            needed.add("labels")
        return frozenset(needed)

    def completed(self) -> Recipe:
        """With what follows for its data from what it needs of them, where nobody says."""
        needs, data = self.needs, self.data
        follows: dict[str, str] = {}
        if "domains" in needs and data.domain is None:
            follows["domain"] = CLASSES
        if data.pairs is None and needs & {"domains", "partners"}:
            follows["pairs"] = "by-name" if "partners" in needs else "none"
        if data.unlabelled is None and "labels" in needs and not self.game.partly_labelled:
            follows["unlabelled"] = "drop"
        return self.model_copy(update={"data": data.model_copy(update=follows)}) if follows else self

    @property
    def registry_name(self) -> str:
        """What its generators are called in a registry of models, unless `export.model_name` says: recipe and data,
        without the characters that mean something in a path."""
        last = self.data.source.rstrip("/").rpartition(":")[2].rpartition("/")[2]
        return _as_file_name(f"{self.name}-{last}")

    @property
    def file_name(self) -> str:
        """The recipe's name without the characters that mean something in a path."""
        return _as_file_name(self.name)

    def check(self) -> None:
        """Refuses parts that do not go together, each by itself: RequestError with place, value and remedy."""
        self.networks.generator.check(self)
        self.networks.discriminator.check(self)
        self.game.check(self)
        self.conditioning.check(self)
        for term in self.regularizers:
            term.check(self)
        self.check_ranks(self.training.ranks or 1)
        self._check_load_size()

    def _check_load_size(self) -> None:
        size, whole = self.data.size, self.training.load_size
        if whole is not None and whole < size.shorter:
            raise RequestError(
                f"training.load_size={whole} is smaller than data.size={size}, which is cut out of it: set at least "
                f"{size.shorter}, or leave it out"
            )

    @property
    def paced_by(self) -> str:
        """The setting that makes each step depend on `training.steps`; "" where a longer training begins alike."""
        share = self.optimizers.decay_from
        if share < 1:
            return f"optimizers.decay_from={share:g}"
        ramps = [key for key, schedule in schedules_in(self) if isinstance(schedule, Ramp | ByShare)]
        return ramps[0] if ramps else self.game.paced_by

    def check_domains(self, source: str, names: Sequence[str]) -> None:
        """Raises RequestError where images are of more domains than can be translated between."""
        most = self.game.most_domains
        if most is not None and len(names) > most:
            raise RequestError(
                f"recipe {self.name!r} translates between {most} domains, and {source} has {len(names)} "
                f"({', '.join(names[:5])}...): use a source of {most}, or --recipe attribute-transfer"
            )

    def check_ranks(self, ranks: int) -> None:
        """Raises RequestError where so many processes cannot share the training."""
        if ranks > 1 and not self.game.shareable:
            raise RequestError(
                f"training.ranks={ranks}: game.kind={self.game.kind} keeps state of its own in each process; set "
                "training.ranks=1"
            )
        parts = self.training.accumulate
        for batch in self.training.batch_sizes:
            if batch % ranks:
                raise RequestError(
                    f"training.batch_size={batch} is the batch of all processes together and does not divide by "
                    f"training.ranks={ranks}: use {batch // ranks * ranks or ranks}"
                )
            if batch % (ranks * parts):
                whole, where = ranks * parts, f" on {ranks} ranks" if ranks > 1 else ""
                raise RequestError(
                    f"training.batch_size={batch} does not divide into training.accumulate={parts} equal parts{where}: "
                    f"use {max(1, batch // whole) * whole}"
                )


def _as_file_name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-")

"""The generator folder: weights, recipe and facts, enough to draw images from without any training state.

generator.safetensors   weights of the moving-average generator
recipe.yaml             the whole recipe, every default spelled out
generator.json          `GeneratorInfo`
classifier.safetensors  only of a semi-supervised training: its classifier
examples.safetensors    only where images are made from real ones: a few of these, so that it draws without the data:
                        `images` uint8 [N, H, W, C] and, where the data has them, `labels`, `domains`, `captions`,
                        `attributes`, `partners`, `embeddings`
"""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, Self

import torch
import yaml
from PIL import Image
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from gan_models.atomic import new_folder
from gan_models.data.decoding import Target
from gan_models.data.ranges import Ranges, stated
from gan_models.data.shape import DataShape, Size
from gan_models.data.table import Split, to_float, to_uint8, to_uint16
from gan_models.errors import RequestError, unknown_name
from gan_models.families.building import build_discriminator, build_generator
from gan_models.families.interfaces import Discriminator, Generator, Inputs
from gan_models.files import GENERATOR_FILES, INFO_FILE, RECIPE_FILE, WEIGHTS_FILE
from gan_models.recipes.loading import parse_recipe
from gan_models.recipes.schema import Recipe
from gan_models.sampling.draws import Draws
from gan_models.sampling.grids import as_image, enlargement, image_grid
from gan_models.tasks import TASKS
from gan_models.tasks.base import Task, columns_for

CLASSIFIER_FILE = "classifier.safetensors"
EXAMPLES_FILE = "examples.safetensors"
MOST_EXAMPLES = 64
_COLUMNS = ("images", "labels", "domains", "captions", "attributes", "partners", "embeddings")


class GeneratorInfo(BaseModel):
    """Where a generator comes from and what it makes."""

    model_config = ConfigDict(frozen=True)

    recipe_name: str
    image_shape: tuple[int, int, int]  # (C, H, W)
    class_names: tuple[str, ...]
    """Names of the classes it was trained with; a conditional generator takes their positions as labels."""
    domain_names: tuple[str, ...] = ()  # names of the domains it was trained with
    words: tuple[str, ...] = ()  # the vocabulary of the captions it was trained with
    attribute_names: tuple[str, ...] = ()  # names of the attributes it was trained with
    embedding: int = 0  # width of the embeddings that its training images carried in place of texts; 0: none
    depth: int = 8  # bits of a value of its training images
    ranges: Ranges | None = None  # which values of their files were black and white; None: nobody kept that
    step: int
    seed: int
    data_fingerprint: str
    diversity: float
    """How much fixed-latent samples differ, as a share of what real images do (`gan_models.sampling.diversity`)."""
    collapsed: bool

    @property
    def called(self) -> str:
        """What to call it in a sentence."""
        return f"{self.recipe_name} at step {self.step}"

    @property
    def shape(self) -> DataShape:
        """What its network was built for."""
        classes, domains, words = map(len, (self.class_names, self.domain_names, self.words))
        attributes = len(self.attribute_names)
        return DataShape(
            self.image_shape, classes, domains, words, self.words, attributes=attributes, embedding=self.embedding
        )


class Samples(NamedTuple):
    """Images uint8 [N, H, W, C] and what they were made from; uint16 where they were asked for at that depth."""

    images: Tensor
    inputs: Inputs
    examples: Split | None = None
    """Real images that they were made from: image i from example i modulo their number; None where from none."""
    numbers: Tensor | None = None
    """Which image of its seed each is, int64 [N]; None: they are the images 0 to N - 1."""

    @property
    def labels(self) -> Tensor | None:
        """The classes they should be of, int64 [N]: asked for, or of their examples; None where there are none."""
        if "labels" in self.inputs or self.examples is None or self.examples.labels is None:
            return self.inputs.get("labels")
        return self._of_examples(self.examples.labels)

    @property
    def sources(self) -> Tensor | None:
        """What they were made from, uint8 [N, H, W, C]; None where from no images."""
        if self.examples is None:
            return None
        return self._of_examples(self.examples.images if self.examples.partners is None else self.examples.partners)

    @property
    def source_domains(self) -> Tensor | None:
        """The domains of the examples, int64 [N]; None where they have none."""
        if self.examples is None or self.examples.domains is None:
            return None
        return self._of_examples(self.examples.domains)

    @property
    def source_attributes(self) -> Tensor | None:
        """The attributes of the examples, float32 [N, A]; None where they have none."""
        if self.examples is None or self.examples.attributes is None:
            return None
        return self._of_examples(self.examples.attributes).float()

    def image(self, columns: int | None = None) -> Image.Image:
        """All of them in one picture, as a notebook shows them too, small ones enlarged without smoothing.

        Args:
            columns: images to a row; default: about square, or one for each class where classes come in turn.
        """
        scale = enlargement(self.images)
        grid = as_image(image_grid(self.images, columns or columns_for(len(self.images), self._classes_in_turn())))
        return grid.resize((grid.width * scale, grid.height * scale), Image.Resampling.NEAREST)

    def _repr_png_(self) -> bytes:
        file = io.BytesIO()
        self.image().save(file, format="png")
        return file.getvalue()

    def _classes_in_turn(self) -> int:
        """K where image i is of class i modulo K; 0 where it is not so."""
        if "labels" not in self.inputs:
            return 0
        labels = self.inputs["labels"]
        classes = int(labels.max()) + 1
        return classes if torch.equal(labels, torch.arange(len(labels)) % classes) else 0

    def _of_examples(self, column: Tensor) -> Tensor:
        numbers = torch.arange(len(self.images)) if self.numbers is None else self.numbers
        return column[numbers.to(column.device) % len(column)].cpu()


@dataclass(frozen=True, eq=False)
class LoadedGenerator:
    """A generator ready to draw from."""

    module: Generator
    recipe: Recipe
    info: GeneratorInfo
    device: torch.device
    examples: Split | None = None  # real images that came with the weights; used where `sample` is given none
    depth: int = 8
    """Bits of a value of what it draws: 8 for whoever looks or measures."""

    @property
    def at_full_depth(self) -> Self:
        """The same, which draws as many bits of a value as its training images had: for images that are kept."""
        return replace(self, depth=self.info.depth)

    @property
    def target(self) -> Target:
        """How images that it is given are to be read: as its training images were."""
        data, channels = self.recipe.data, self.info.image_shape[0]
        ranges = self.info.ranges or stated(data.range) or Ranges()
        return Target(Size.of(self.info.image_shape), channels, data.resize, data.fit, ranges)

    @property
    def task(self) -> Task:
        """What it is for."""
        return TASKS[self.module.task]()

    def sample(
        self,
        num: int = 64,
        *,
        seed: int = 0,
        first: int = 0,
        labels: Tensor | Sequence[str | int] | str | None = None,
        examples: Split | None = None,
        truncation: float | None = None,
        batch_size: int = 256,
    ) -> Samples:
        """Draws the images `first` to `first + num - 1` of a seed, as `draw` does.

        Raises:
            RequestError: as of `draw`, or no images or a negative seed.
        """
        if num < 1 or seed < 0:
            raise RequestError(f"num={num}, seed={seed}: give at least 1 image, and a seed from 0 on")
        draws = Draws(seed, num, first)
        return self.draw(draws, labels=labels, examples=examples, truncation=truncation, batch_size=batch_size)

    def draw(
        self,
        draws: Draws,
        *,
        labels: Tensor | Sequence[str | int] | str | None = None,
        examples: Split | None = None,
        truncation: float | None = None,
        batch_size: int = 256,
    ) -> Samples:
        """Draws images by their seed and number, quantised to uint8.

        Image i depends on its seed and i alone (and on the label or example given for it), not on what is drawn with
        it. Equal arguments give equal pixels; in other batches a processor's kernels may round to the next level.

        Args:
            labels: classes for conditional generators, by name or number and repeated in turn, or int64 [num]; by
                default image i is of class i modulo K.
            examples: real images that a generator translates or whose captions it illustrates; by default those that
                came with it.
            truncation: latents beyond +-this are drawn again (`gan_models.sampling.latents`); of generators with a
                mapping network, how far styles go from their average to what the latents give.

        Raises:
            RequestError: labels for an unconditional generator, labels it does not know, examples missing, or a
                truncation where there are no latents.
        """
        examples = (examples or self.examples) if self.module.needs_examples else None
        inputs = self.inputs(draws, labels=labels, examples=examples, truncation=truncation)
        return self.synthesize(inputs, batch_size=batch_size)._replace(examples=examples, numbers=draws.numbers)

    def inputs(
        self,
        draws: Draws,
        *,
        labels: Tensor | Sequence[str | int] | str | None = None,
        examples: Split | None = None,
        truncation: float | None = None,
    ) -> Inputs:
        """What `draw` makes its images from; arguments and errors as there."""
        classes, num = self.module.num_classes, len(draws)
        if labels is not None and not classes:
            raise RequestError(f"{self.info.recipe_name} is unconditional: it takes no labels")
        if labels is not None and not isinstance(labels, Tensor):
            labels = self._numbers([labels] if isinstance(labels, str) else labels, num)
        if labels is not None and (len(labels) != num or int(labels.min()) < 0 or int(labels.max()) >= classes):
            raise RequestError(f"labels must be {num} numbers from 0 to {classes - 1}")
        examples = (examples or self.examples) if self.module.needs_examples else None
        try:
            inputs = self.module.draw_inputs(draws, labels=labels, examples=examples)
        except ValueError as error:
            raise RequestError(f"{self.info.recipe_name}: {error}") from None
        if truncation is None:
            return inputs
        if "latents" not in inputs:
            raise RequestError(f"{self.info.recipe_name} takes no latents: there is nothing to truncate, leave it out")
        return self.module.truncated(inputs, truncation, draws)

    def _numbers(self, labels: Sequence[str | int], num: int) -> Tensor:
        """int64 [num], the classes of these names or numbers in turn; RequestError for one that there is not."""
        names = self.info.class_names
        for label in labels:
            if isinstance(label, str) and label not in names:
                raise unknown_name("class", label, names)
        numbers = [names.index(label) if isinstance(label, str) else int(label) for label in labels]
        if not numbers:
            raise RequestError("labels is empty: name at least one class, or leave it out")
        return torch.tensor(numbers)[torch.arange(num) % len(numbers)]

    @torch.inference_mode()
    def synthesize(self, inputs: Inputs, *, batch_size: int = 256) -> Samples:
        """Images for given inputs of the generator, N rows each."""
        parts = []
        for start in range(0, len(next(iter(inputs.values()))), batch_size):
            part = {name: tensor[start : start + batch_size].to(self.device) for name, tensor in inputs.items()}
            made = self.module(**part)
            parts.append((to_uint16(made) if self.depth > 8 else to_uint8(made)).cpu())
        return Samples(torch.cat(parts), inputs)


class LoadedClassifier(NamedTuple):
    """A classifier ready to ask."""

    module: Discriminator
    class_names: tuple[str, ...]  # position is the class
    device: torch.device

    @torch.inference_mode()
    def probabilities(self, images: Tensor, *, batch_size: int = 256) -> Tensor:
        """float32 [N, K], of the classes given that an image is real, for images uint8 [N, H, W, C]."""
        parts = [
            self.module(to_float(part.to(self.device))).class_logits.float().softmax(1).cpu()
            for part in torch.split(images, batch_size)
        ]
        return torch.cat(parts)


def save_generator(
    folder: Path,
    weights: Mapping[str, Tensor],
    recipe: Recipe,
    info: GeneratorInfo,
    companions: Mapping[str, Mapping[str, Tensor]] | None = None,
) -> None:
    """Writes a generator folder, replacing one that is there; `companions` are weights to keep beside it, by name."""
    with new_folder(folder) as target:
        for file, tensors in {"generator": weights, **(companions or {})}.items():
            whole = {name: tensor.contiguous().cpu() for name, tensor in tensors.items()}
            save_file(whole, target / f"{file}.safetensors")
        (target / RECIPE_FILE).write_text(yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False))
        (target / INFO_FILE).write_text(info.model_dump_json(indent=2) + "\n")


def save_examples(folder: Path, examples: Split) -> None:
    """Writes the first images of `examples`, at most 64, into a generator folder."""
    columns = {name: getattr(examples, name) for name in _COLUMNS}
    kept = {name: column[:MOST_EXAMPLES].cpu().contiguous() for name, column in columns.items() if column is not None}
    save_file(kept, folder / EXAMPLES_FILE)


def folder_files(folder: Path) -> list[str]:
    """Names of the files that a copy of a generator folder needs: the three, and other networks kept beside them."""
    others = {path.name for path in folder.glob("*.safetensors")}
    return [*GENERATOR_FILES, *sorted(others - set(GENERATOR_FILES))]


def read_info(folder: Path) -> GeneratorInfo:
    """The facts about a generator folder, without its weights. Raises RequestError where there is none."""
    for name in GENERATOR_FILES:
        if (folder / name).exists() and not (folder / name).is_file():  # opened, a pipe would be waited for
            raise RequestError(f"{folder / name} is no file: name the exported folder of a run")
    try:
        return GeneratorInfo.model_validate(json.loads((folder / INFO_FILE).read_text()))
    except FileNotFoundError:
        raise RequestError(
            f"{folder} is not a generator folder: it has no {INFO_FILE}; name the exported folder of a run"
        ) from None
    except (ValueError, ValidationError, RecursionError) as error:
        raise _damaged(folder / INFO_FILE, error) from None


def load_generator(folder: Path, device: torch.device | str = "cpu") -> LoadedGenerator:
    """Loads a generator folder; nothing is unpickled. RequestError where it is none, damaged, or not finite."""
    info = read_info(folder)
    device = torch.device(device)
    try:
        recipe = _read_recipe(folder)
        weights = load_file(folder / WEIGHTS_FILE, device=str(device))
        examples = _load_examples(folder)
    except (OSError, ValueError, RecursionError, yaml.YAMLError, SafetensorError) as error:
        raise _damaged(folder, error) from None
    if name := _not_finite(weights):
        raise RequestError(
            f"{folder} cannot draw images: its weights {name} hold NaN or infinite values; take another checkpoint, or "
            "train again with lower learning rates"
        )
    module = build_generator(recipe, info.shape).to(device)
    try:
        module.load_state_dict(weights)
    except RuntimeError as error:
        raise _damaged(folder / WEIGHTS_FILE, error) from None
    module.to(memory_format=torch.channels_last)
    return LoadedGenerator(module.eval(), recipe, info, device, examples)


def is_finite(folder: Path) -> bool:
    """Whether the weights of a generator folder are numbers all; RequestError where they are damaged."""
    try:
        return not _not_finite(load_file(folder / WEIGHTS_FILE))
    except (OSError, SafetensorError) as error:
        raise _damaged(folder, error) from None


def _not_finite(weights: Mapping[str, Tensor]) -> str:
    """The name of the first that hold NaN or infinite values; "" where none do."""
    return next((name for name, tensor in weights.items() if not torch.isfinite(tensor).all()), "")


def load_classifier(folder: Path, device: torch.device | str = "cpu") -> LoadedClassifier:
    """Of a generator folder; nothing is unpickled. RequestError where there is no classifier, or a damaged one."""
    info, device = read_info(folder), torch.device(device)
    path = folder / CLASSIFIER_FILE
    if not path.is_file():
        raise RequestError(f"{folder} has no {CLASSIFIER_FILE}: only semi-supervised recipes such as sgan train one")
    try:
        module = build_discriminator(_read_recipe(folder), info.shape).to(device)
        module.load_state_dict(load_file(path, device=str(device)))
    except (OSError, yaml.YAMLError, SafetensorError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise RequestError(f"{path} is damaged ({reason}): train again, or take another checkpoint") from None
    module.to(memory_format=torch.channels_last)
    return LoadedClassifier(module.eval(), info.class_names, device)


def _read_recipe(folder: Path) -> Recipe:
    document = yaml.safe_load((folder / RECIPE_FILE).read_text())
    return parse_recipe(document, origin=str(folder / RECIPE_FILE))


def _load_examples(folder: Path) -> Split | None:
    """The examples of a generator folder; None where it carries none. Raises SafetensorError for a damaged file."""
    path = folder / EXAMPLES_FILE
    if not path.is_file():
        return None
    columns: dict[str, Tensor | None] = dict.fromkeys(_COLUMNS) | load_file(path)
    images = columns.pop("images")
    assert images is not None
    return Split(images, paths=[f"example-{number}" for number in range(len(images))], **columns)


def _damaged(path: Path, error: Exception) -> RequestError:
    reason = " ".join(str(error).split())[:200]
    return RequestError(f"{path} is damaged ({reason}): export the generator again")

"""Images from what a text says: what a user's texts ask for, and pictures with their texts underneath."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from gan_models.data.captions import Vocabulary
from gan_models.data.table import Split
from gan_models.errors import RequestError, unknown_name
from gan_models.families.interfaces import Generator, Inputs
from gan_models.sampling.draws import Draws
from gan_models.sampling.generator import GeneratorInfo, LoadedGenerator, Samples
from gan_models.sampling.grids import Pixels, as_image, image_grid
from gan_models.tasks.base import SEED, TRUNCATION, Answer, Asked, Column, Conditions, Picture, Row, Task, columns_for

_ROWS, _COLUMNS = 5, 8
_LEAST_WIDTH = 88  # pixels of a cell, so that a short caption fits in two lines
_FONT_SIZE = 11
_GAP = 6


class Text(Task):
    """Latents, and the captions of the examples in turn, or their embeddings where these stand for texts."""

    takes: ClassVar[frozenset[str]] = frozenset({"captions", "embeddings"})
    foreign: ClassVar[dict[str, str]] = {
        **Task.foreign,
        "labels": "--labels: {recipe} is asked in words; use --caption",
    }

    def draw(self, module: Generator, draws: Draws, *, labels: Tensor | None, examples: Split | None) -> Inputs:
        if "embeddings" in module.inputs:
            if examples is None or examples.embeddings is None:
                raise ValueError("it draws from embeddings in place of texts: pass images with embeddings")
            return {"latents": draws.normal(module.latent), "embeddings": embeddings_of(draws, examples.embeddings)}
        if examples is None or examples.captions is None:
            raise ValueError("it draws what a text says: pass images with captions, or captions")
        captions = examples.captions.cpu()[draws.numbers % len(examples)]
        return {"latents": draws.normal(module.latent), "captions": captions}

    def pictures(self, generator: LoadedGenerator, seed: int) -> Iterator[Picture]:
        """Forty pictures of the texts that came with the generator, each with its caption underneath."""
        file = "captions.png"
        if generator.examples is None:
            yield Picture(file, f"no {file}: the generator folder carries no captions")
            return
        samples = generator.sample(_ROWS * _COLUMNS, seed=seed)
        texts = self._texts(generator, samples)
        grid = captioned_grid(samples.images, texts, _COLUMNS)
        yield Picture(file, f"{file}: pictures with the captions that were asked for underneath", grid)

    def conditions(self, generator: LoadedGenerator, asked: Asked) -> Conditions:
        info, captions = generator.info, asked.captions
        _refuse_other_texts(generator, asked)
        if asked.embeddings is not None:
            return Conditions(examples=read_embeddings(asked.embeddings, info))
        examples = examples_of(captions, info) if captions else generator.examples
        if examples is None:
            option = "--embedding FILE" if _takes_embeddings(generator) else "--caption TEXT"
            raise RequestError(f"{info.recipe_name} draws what a text says and its folder carries none: add {option}")
        if asked.seeds and len(captions) > 1:
            raise RequestError(
                f"--caption: image 0 of every seed is of the first caption, and there are {len(captions)}; give one, "
                "or draw --num images of one --seed"
            )
        return Conditions(examples=examples)

    def about(self, generator: LoadedGenerator, asked: Asked) -> dict[str, Any]:
        """The captions in turn: image i of a seed is of the one at i modulo their number."""
        examples = self.conditions(generator, asked).examples
        assert examples is not None
        if _takes_embeddings(generator):
            return {"embeddings": 1 if asked.seeds else len(examples)}
        assert examples.captions is not None
        captions = examples.captions[:1] if asked.seeds else examples.captions
        return {"captions": captions_of(captions, generator.info)}

    def answer(self, generator: LoadedGenerator, asked: Asked) -> Picture:
        """The captions in turn, the user's own or those that came with the generator, each with its text underneath."""
        examples = self.conditions(generator, asked).examples
        samples = generator.draw(asked.draws(), examples=examples, truncation=asked.truncation)
        columns = asked.columns or columns_for(asked.num, len(asked.captions))
        grid = captioned_grid(samples.images, self._texts(generator, samples), columns)
        return Picture("grid", f"{asked.num} images of {generator.info.called}", grid)

    def _texts(self, generator: LoadedGenerator, samples: Samples) -> list[str]:
        """What is written under each image: its caption; of an embedding, that of its example, else its number."""
        if not _takes_embeddings(generator):
            return captions_of(samples.inputs["captions"], generator.info)
        assert samples.examples is not None
        assert samples.numbers is not None
        rows, captions = samples.numbers % len(samples.examples), samples.examples.captions
        if captions is not None:
            return captions_of(captions.cpu()[rows], generator.info)
        return [f"embedding {row}" for row in rows.tolist()]

    def columns(self, generator: LoadedGenerator) -> tuple[Column, ...]:
        """An embedding is a JSON list of its numbers: what serves rows knows numbers and strings."""
        text = "embedding" if _takes_embeddings(generator) else "caption"
        return (SEED, Column(text, "string", required=True), TRUNCATION)

    def example_rows(self, generator: LoadedGenerator) -> list[Row]:
        """Two texts that came with the generator, else two words that it knows, or an embedding of zeros."""
        examples, info = generator.examples, generator.info
        if _takes_embeddings(generator):
            given = torch.zeros(1, 1, info.embedding) if examples is None else examples.embeddings
            assert given is not None
            first, last = (json.dumps(vector.tolist()) for vector in (given[0, 0], given[-1, 0]))
            return [
                {"seed": 0, "embedding": first, "truncation": None},
                {"seed": 1, "embedding": last, "truncation": 0.7},
            ]
        carried = None if examples is None else examples.captions
        said = [] if carried is None else [text for text in captions_of(carried, info) if text]
        texts = said[:2] or info.words
        return [
            {"seed": 0, "caption": texts[0], "truncation": None},
            {"seed": 1, "caption": texts[-1], "truncation": 0.7},
        ]

    def answer_row(self, generator: LoadedGenerator, row: Row) -> Answer:
        seed = row["seed"]
        if _takes_embeddings(generator):
            examples = _embedding_examples(_numbers(row["embedding"]), generator.info, "embedding")
            samples = generator.sample(1, seed=seed, examples=examples, truncation=row.get("truncation"))
            return Answer(samples.images[0], {"seed": seed})
        caption = row["caption"]
        examples = examples_of([caption], generator.info)
        samples = generator.sample(1, seed=seed, examples=examples, truncation=row.get("truncation"))
        return Answer(samples.images[0], {"seed": seed, "caption": caption})


def examples_of(texts: Sequence[str], info: GeneratorInfo) -> Split:
    """Black images with these texts as captions; RequestError for a word that was not learnt, or no words."""
    if not info.words:
        raise RequestError(f"{info.recipe_name} was trained without captions: it cannot draw what a text says")
    vocabulary = Vocabulary(info.words)
    for text in texts:
        for word in vocabulary.unknown(text):
            raise unknown_name("word", word, info.words)
        if not vocabulary.encode(text):
            raise RequestError(f"caption {text!r} has no words; known: {', '.join(sorted(info.words))}")
    channels, height, width = info.image_shape
    images = torch.zeros(len(texts), height, width, channels, dtype=torch.uint8)
    captions = torch.from_numpy(vocabulary.encode_all(texts))
    return Split(images, None, list(texts), captions=captions)


def embeddings_of(draws: Draws, embeddings: Tensor) -> Tensor:
    """float32 [num, E] of embeddings [N, n, E]: image i is of example i modulo N, whose n are taken in turn."""
    count, several, _ = embeddings.shape
    return embeddings.cpu()[draws.numbers % count, draws.numbers // count % several]


def read_embeddings(path: Path, info: GeneratorInfo) -> Split:
    """Black images with the embeddings of a .npy file, [E], [N, E] or [N, n, E]; RequestError: none such."""
    try:
        values = np.load(path, allow_pickle=False)
    except (OSError, EOFError, ValueError) as error:
        reason = (str(error).splitlines() or [""])[0] or type(error).__name__
        raise RequestError(f"--embedding {path}: this is no NumPy array that can be read ({reason})") from None
    return _embedding_examples(values, info, f"--embedding {path}")


def _embedding_examples(values: Any, info: GeneratorInfo, place: str) -> Split:
    if not (isinstance(values, np.ndarray) and values.dtype.kind in "fiu" and values.ndim in (1, 2, 3) and values.size):
        raise RequestError(f"{place}: expected numbers, [{info.embedding}] or [N, {info.embedding}]")
    vectors = values.astype(np.float32)
    vectors = vectors[None, None] if vectors.ndim == 1 else vectors[:, None] if vectors.ndim == 2 else vectors
    if vectors.shape[2] != info.embedding or not np.isfinite(vectors).all():
        what = (
            f"embeddings of {vectors.shape[2]} numbers" if np.isfinite(vectors).all() else "values that are not finite"
        )
        raise RequestError(f"{place}: {what}; {info.recipe_name} draws from embeddings of {info.embedding} numbers")
    channels, height, width = info.image_shape
    images = torch.zeros(len(vectors), height, width, channels, dtype=torch.uint8)
    return Split(images, None, [f"{place}[{row}]" for row in range(len(vectors))], embeddings=torch.from_numpy(vectors))


def _numbers(text: str) -> Any:
    """The array of a JSON list of numbers; what is none is refused with the others."""
    try:
        return np.asarray(json.loads(text), np.float32)
    except (TypeError, ValueError, RecursionError):
        return None


def _takes_embeddings(generator: LoadedGenerator) -> bool:
    return "embeddings" in generator.module.inputs


def _refuse_other_texts(generator: LoadedGenerator, asked: Asked) -> None:
    """RequestError for a caption where embeddings stand for texts, and the other way round."""
    recipe = generator.info.recipe_name
    if asked.captions and _takes_embeddings(generator):
        raise RequestError(
            f"--caption: {recipe} was trained on embeddings that came with its data and cannot read a text: encode it "
            "as these were, and name the file of numbers with --embedding FILE.npy"
        )
    if asked.embeddings is not None and not _takes_embeddings(generator):
        raise RequestError(f"--embedding: {recipe} reads texts itself; use --caption TEXT")


def captions_of(captions: Tensor, info: GeneratorInfo) -> list[str]:
    """The texts of word numbers int64 [N, L]."""
    vocabulary = Vocabulary(info.words)
    return [vocabulary.decode(numbers) for numbers in captions.tolist()]


def captioned_grid(images: Tensor, texts: Sequence[str], columns: int) -> Pixels:
    """Uint8 images [N, H, W, C], `columns` to a row, enlarged, each with its text under it: [H', W', 3], on white."""
    scale = -(-_LEAST_WIDTH // images.shape[2])
    font = ImageFont.load_default(_FONT_SIZE)
    lines = [_wrapped(text, font, scale * images.shape[2]) for text in texts]
    line_height = sum(font.getmetrics()) if isinstance(font, ImageFont.FreeTypeFont) else _FONT_SIZE
    strip = line_height * max(map(len, lines))
    enlarged = images.repeat_interleave(scale, 1).repeat_interleave(scale, 2)
    width = enlarged.shape[2]
    cells = []
    for image, broken in zip(enlarged, lines, strict=True):
        cell = Image.new("RGB", (width, enlarged.shape[1] + strip), "white")
        cell.paste(as_image(image.numpy()), (0, 0))
        for number, line in enumerate(broken):
            place = ((width - font.getlength(line)) / 2, enlarged.shape[1] + number * line_height)
            ImageDraw.Draw(cell).text(place, line, "black", font)
        cells.append(torch.from_numpy(np.array(cell)))
    return image_grid(torch.stack(cells), columns, gap=_GAP)


def _wrapped(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> list[str]:
    """A text in lines of at most `width` pixels; a longer word has a line for itself."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and font.getlength(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines

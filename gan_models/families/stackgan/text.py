"""How texts are read: encoders of captions, and the head of a discriminator that judges pairs of image and text.

Shape suffixes: B batch, L words, T width of the embedding.
"""

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from gan_models.data.captions import Vocabulary
from gan_models.data.shape import DataShape
from gan_models.errors import RequestError
from gan_models.families.stackgan.spec import StackganGenerator
from gan_models.layers.heads import LinearHead
from gan_models.layers.normalization import discriminator_norm


class TextEncoder(nn.Module):
    """Captions int64 [B, L], word numbers with 0 after the end, to embeddings float32 [B, `width`]."""

    width: int


class GivenEmbeddings(TextEncoder):
    """Embeddings [B, T] that come with the data, as they are: nothing is learnt or saved of them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, embeddings_BT: Tensor) -> Tensor:
        return embeddings_BT


class RecurrentTextEncoder(TextEncoder):
    """Word vectors, a gated recurrent unit (Cho et al. 2014), the mean of its states at the caption's words.

    Read forwards only, so that what follows a caption's end changes nothing: an embedding does not depend on L.
    """

    def __init__(self, words: int, width: int) -> None:
        super().__init__()
        self.width = width
        self.vectors = nn.Embedding(words + 1, width)
        self.recurrent = nn.GRU(width, width, batch_first=True)

    def forward(self, captions_BL: Tensor) -> Tensor:
        # A few hundred products: nothing to win in bf16, and its rounding would feed back from word to word.
        with torch.autocast(captions_BL.device.type, enabled=False):
            states_BLT: Tensor = self.recurrent(self.vectors(captions_BL))[0]
            is_word = (captions_BL > 0).to(states_BLT.dtype)[:, :, None]
            return (states_BLT * is_word).sum(1) / is_word.sum(1).clamp(min=1.0)


class SentenceEncoder(TextEncoder):
    """Frozen embeddings of a pretrained `sentence-transformers` model; nothing of it is trained or saved.

    Each caption is embedded once: a data set repeats its captions, and so does every epoch.
    """

    def __init__(self, vocabulary: tuple[str, ...], model: str) -> None:
        super().__init__()
        self.model = model
        self.vocabulary = Vocabulary(vocabulary)
        self.known: dict[str, Tensor] = {}
        self.width = int(_sentence_model(model).get_sentence_embedding_dimension())

    @torch.no_grad()
    def forward(self, captions_BL: Tensor) -> Tensor:
        texts = [self.vocabulary.decode(numbers) for numbers in captions_BL.tolist()]
        new = [text for text in dict.fromkeys(texts) if text not in self.known]
        if new:
            vectors = _sentence_model(self.model).encode(new, convert_to_tensor=True)
            self.known.update(zip(new, vectors.float().cpu(), strict=True))
        return torch.stack([self.known[text] for text in texts]).to(captions_BL.device)


@cache
def _sentence_model(name: str) -> Any:
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError:
        raise RequestError(
            "networks.generator.text_encoder=sentence-transformers needs the package of that name: install it with "
            "`pip install sentence-transformers`, or set networks.generator.text_encoder=gru"
        ) from None
    return SentenceTransformer(name).eval()


def build_text_encoder(spec: StackganGenerator, shape: DataShape) -> TextEncoder:
    """The encoder that a spec names, for the data's texts; RequestError where its package is not installed."""
    if spec.text_encoder == "given":
        return GivenEmbeddings(shape.embedding)
    if spec.text_encoder == "sentence-transformers":
        return SentenceEncoder(shape.vocabulary, spec.text_model)
    return RecurrentTextEncoder(shape.words, spec.text_width)


class TextHead(nn.Module):
    """How well an image and a text go together (Zhang et al. 2017, section 3.3): one logit of both, [B].

    The text's embedding is compressed by a dense layer and joined to the features at every position; a 1x1 convolution,
    written as the dense layer over positions that it is, sees both.

    Args:
        text: captions int64 [B, L], or embeddings in their place, to embeddings [B, T], `width` T.
        condition: dimensions that the embedding is compressed to.
        norm: of the joint layer, as a discriminator spec has it.
        bias: whether the layer that the logit is made by has one.
    """

    def __init__(
        self,
        channels: int,
        positions: int,
        text: TextEncoder,
        condition: int,
        norm: str,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.reading: nn.Module = nn.Sequential(text, nn.Linear(text.width, condition), nn.LeakyReLU(0.2))
        normed = discriminator_norm(norm, channels)
        self.join = nn.Linear(channels + condition, channels, bias=not normed)
        self.layers = nn.Sequential(*normed, nn.LeakyReLU(0.2))
        self.linear = LinearHead(channels * positions, bias=bias)

    def forward(self, features: Tensor, texts: Tensor | None = None) -> Tensor:
        if texts is None:
            raise ValueError("this discriminator judges pairs of image and text: pass captions")
        places = (features.flatten(2) if features.dim() > 2 else features[:, :, None]).transpose(1, 2)  # [B, P, C]
        condition = self.reading(texts).to(features.dtype)
        joined = self.join(torch.cat([places, condition[:, None].expand(-1, places.shape[1], -1)], dim=2))
        seen = self.layers(joined.flatten(0, 1)).unflatten(0, joined.shape[:2])
        return self.linear(seen)

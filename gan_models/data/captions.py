"""Captions as numbers: which words a table's captions are made of, and texts as word numbers. Needs no PyTorch.

A word is a run of letters and digits, apostrophes inside it included, in lower case; everything else separates words.
Word number i + 1 is `words[i]` and 0 is "no word", so an embedding of captions has len(words) + 1 rows, row 0 for
padding. Words outside the vocabulary are left out: there is no number for them, and nothing to learn one from.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import takewhile

import numpy as np

MAX_WORDS = 10_000  # a vocabulary's bound: rarer words than the 10,000th are too rare to be learnt
MAX_LENGTH = 64  # words of a caption that are kept
_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")


def split_words(text: str) -> list[str]:
    """The words of a text, in order, in lower case."""
    return _WORD.findall(text.lower())


def choose_words(counts: Counter[str], max_words: int = MAX_WORDS) -> tuple[str, ...]:
    """The vocabulary: the most frequent words first, equally frequent ones in alphabetical order."""
    order = sorted(counts, key=lambda word: (-counts[word], word))
    return tuple(order[:max_words])


class Vocabulary:
    """Texts to word numbers and back, of `words` as in `TableMetadata.words`."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = tuple(words)
        self._numbers = {word: number for number, word in enumerate(self.words, start=1)}

    def encode(self, text: str) -> list[int]:
        """The numbers, 1 to len(words), of the text's first `MAX_LENGTH` known words."""
        known = (self._numbers[word] for word in split_words(text) if word in self._numbers)
        return list(known)[:MAX_LENGTH]

    def encode_all(self, texts: Iterable[str | None]) -> np.ndarray:
        """int64 [N, L], 0 after the end of each; L is the longest text's length, at least 1. No text is a row of 0."""
        numbers = [[] if text is None else self.encode(text) for text in texts]
        rows = np.zeros((len(numbers), max([1, *map(len, numbers)])), np.int64)
        for row, sentence in zip(rows, numbers, strict=True):
            row[: len(sentence)] = sentence
        return rows

    def decode(self, numbers: Iterable[int]) -> str:
        """The words of word numbers, up to the first 0, with spaces between."""
        return " ".join(self.words[number - 1] for number in takewhile(bool, numbers))

    def unknown(self, text: str) -> list[str]:
        """The words of a text that have no number, each once, in order."""
        return [word for word in dict.fromkeys(split_words(text)) if word not in self._numbers]

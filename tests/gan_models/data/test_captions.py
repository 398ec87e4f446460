"""Words of captions, their order in the vocabulary, and texts as numbers."""

from collections import Counter

import pytest

from gan_models.data.captions import MAX_LENGTH, Vocabulary, choose_words, split_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("A small RED circle, on the left.", ["a", "small", "red", "circle", "on", "the", "left"]),
        ("4 7 1", ["4", "7", "1"]),
        ("the dog's  tail -- 'quoted'", ["the", "dog's", "tail", "quoted"]),
        ("Ein schöner_Käfer", ["ein", "schöner", "käfer"]),
        (" \n", []),
    ],
)
def test_words_of_a_text(text: str, words: list[str]) -> None:
    assert split_words(text) == words


def test_frequent_words_first_then_alphabetically() -> None:
    counts = Counter({"pear": 2, "apple": 2, "zebra": 5, "fig": 1})
    assert choose_words(counts) == ("zebra", "apple", "pear", "fig")
    assert choose_words(counts, 2) == ("zebra", "apple")


def test_numbers_start_at_one_and_unknown_words_are_left_out() -> None:
    vocabulary = Vocabulary(["a", "red", "circle"])
    assert vocabulary.encode("A very red circle") == [1, 2, 3]
    assert vocabulary.unknown("A very very odd circle") == ["very", "odd"]
    assert vocabulary.decode([1, 2, 3, 0, 0]) == "a red circle"
    assert max(vocabulary.encode("circle red a")) == len(vocabulary.words)


def test_rows_are_padded_to_the_longest() -> None:
    vocabulary = Vocabulary(["a", "red", "circle"])
    assert vocabulary.encode_all(["a circle", None, "", "a red circle"]).tolist() == [
        [1, 3, 0],
        [0, 0, 0],
        [0, 0, 0],
        [1, 2, 3],
    ]
    assert vocabulary.encode_all(["nothing known"]).tolist() == [[0]]
    assert vocabulary.encode_all([]).shape == (0, 1)


def test_long_texts_are_cut() -> None:
    assert Vocabulary(["a"]).encode("a " * (MAX_LENGTH + 5)) == [1] * MAX_LENGTH

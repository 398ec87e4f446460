"""What other people have named is text, wherever it is shown."""

from __future__ import annotations

import pytest

from components.evaluate_gan.report import _as_markdown
from components.markdown import plain

NAMES = [
    "a|b",
    "<img src=x onerror=alert(1)>",
    "[here](javascript:alert(1))",
    "![](http://x/y.png)",
    "`x`",
    "a\nb\n# c",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_stays_in_its_cell_and_is_no_markup(name: str) -> None:
    table = _as_markdown([["class", "images"], [name, "3"]])
    assert table.count("\n") == 2
    last = table.splitlines()[-1]
    unescaped = [at for at, each in enumerate(last) if each in "|<>[]`" and last[at - 1 : at] != "\\"]
    assert [last[at] for at in unescaped] == ["|", "|", "|"]


def test_ordinary_sentences_stay_as_they_are() -> None:
    sentence = "FD-classifier is 0.3 (95 % of 10 classes): see duplicates.csv; data.repeats=keep keeps all"
    assert plain(sentence) == sentence

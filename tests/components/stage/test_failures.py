from __future__ import annotations

import errno
from pathlib import Path

import pytest

from components.redaction import redact
from components.stage.failures import failure_of


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, ["the disk is full at /data/x", "the same command continues"]),
        (errno.EDQUOT, ["the disk is full"]),
        (errno.EROFS, ["/data/x is read-only", "--workdir"]),
        (errno.EACCES, ["no permission", "/data/x"]),
    ],
)
def test_the_disk_says_which_place_and_what_to_do(number: int, words: list[str]) -> None:
    failure = failure_of(OSError(number, "oops", "/data/x"))
    assert failure.exit_code == 1
    assert all(word in failure.sentence for word in words)


def test_a_sentence_is_one_line() -> None:
    failure = failure_of(ValueError("first\n  second"), Path("/logs/train_gan.log"))
    assert failure.sentence == "unexpected ValueError: first second; the full traceback is in /logs/train_gan.log"


def test_memory_of_a_device_counts_as_memory() -> None:
    assert "out of memory" in failure_of(RuntimeError("DefaultCPUAllocator: not enough memory: 9 GB")).sentence


@pytest.mark.parametrize(
    "text", ["https://ann:s3cret@host/x", "at postgresql+psycopg2://ann:s3cret@db:5432/m now", "'http://:s3cret@h'"]
)
def test_credentials_are_replaced(text: str) -> None:
    assert "s3cret" not in redact(text)
    assert "***@" in redact(text)


@pytest.mark.parametrize("text", ["sqlite:////data/a@b/mlflow.db", "http://host:5000/x", "mail ann@example.org"])
def test_what_holds_no_credentials_stays(text: str) -> None:
    assert redact(text) == text

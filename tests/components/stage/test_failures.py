from __future__ import annotations

import errno
import mmap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from components.artifacts import StageFailure
from components.context import RunContext
from components.redaction import redact
from components.stage.failures import CLAIM_VARIABLE, failure_of


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


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, ["the claim state is full at /state/x", "`gan-pipeline runs retry` continues"]),
        (errno.EROFS, ["the claim state cannot be written at /state/x by user "]),
        (errno.EACCES, ["by user ", "infra/kustomize/prepare-volume.yaml", "fsGroup"]),
    ],
)
def test_the_volume_of_a_pod_says_claim_user_and_remedy(
    number: int, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CLAIM_VARIABLE, "state")
    failure = failure_of(OSError(number, "oops", "/state/x"))
    assert all(word in failure.sentence for word in words), failure.sentence
    assert "--workdir" not in failure.sentence


def test_a_sentence_is_one_line() -> None:
    failure = failure_of(ValueError("first\n  second"), Path("/logs/train_gan.log"))
    assert failure.sentence == "unexpected ValueError: first second; the full traceback is in /logs/train_gan.log"


@pytest.mark.parametrize("error", [RuntimeError, ValueError])
def test_a_full_disk_is_one_whoever_says_it(error: type[Exception]) -> None:
    for text in ("I/O error: No space left on device (os error 28)", "PytorchStreamWriter failed writing file data/3"):
        assert failure_of(error(text)).sentence.startswith("the disk is full")


def test_a_path_that_cannot_be_is_a_wrong_request() -> None:
    failure = failure_of(OSError(errno.ENAMETOOLONG, "File name too long", "x" * 9000))
    assert failure.exit_code == 2
    assert len(failure.sentence) < 200


@pytest.mark.parametrize(
    "allocate",
    [
        lambda: torch.empty(10**15),
        lambda: np.empty(10**15),
        lambda: pa.allocate_buffer(10**15),
        lambda: mmap.mmap(-1, 10**15),
    ],
    ids=["torch", "numpy", "arrow", "system"],
)
def test_memory_that_is_not_there_is_a_sentence(allocate: Callable[[], object]) -> None:
    with pytest.raises((RuntimeError, MemoryError, OSError)) as raised:
        allocate()
    assert failure_of(raised.value).sentence.startswith("out of memory: use a smaller data.size")


@pytest.mark.parametrize("words", ["CUDA out of memory. Tried to allocate", "CUBLAS_STATUS_ALLOC_FAILED when calling"])
def test_memory_of_a_device_counts_as_memory(words: str) -> None:
    assert "out of memory" in failure_of(RuntimeError(words)).sentence


@pytest.mark.parametrize(
    "text", ["https://ann:s3cret@host/x", "at postgresql+psycopg2://ann:s3cret@db:5432/m now", "'http://:s3cret@h'"]
)
def test_credentials_are_replaced(text: str) -> None:
    assert "s3cret" not in redact(text)
    assert "***@" in redact(text)


@pytest.mark.parametrize("text", ["sqlite:////data/a@b/mlflow.db", "http://host:5000/x", "mail ann@example.org"])
def test_what_holds_no_credentials_stays(text: str) -> None:
    assert redact(text) == text


def test_what_a_stage_said_before_is_cleared_away_whole(tmp_path: Path) -> None:
    """With what an attempt had half written when it was killed."""
    context = RunContext(state_dir=str(tmp_path), run_id="run")
    StageFailure(run_id="run", stage="train_gan", sentence="it failed").keep(context)
    (StageFailure.folder(context, "train_gan") / ".failure.json.47dc8b33").write_text("{")
    StageFailure.clear(context, "train_gan")
    assert list(tmp_path.iterdir()) == []

"""From an exception to the one sentence that the user sees, and the exit code."""

import errno
import os
from dataclasses import dataclass
from pathlib import Path

from components.redaction import redact
from gan_models.errors import RequestError, RunError

_FULL_DISK = ("No space left on device", "PytorchStreamWriter failed writing file")
# CUDA, torch on Windows, torch and the system elsewhere, cuBLAS.
_NO_MEMORY = ("out of memory", "not enough memory", "allocate memory", "STATUS_ALLOC_FAILED")
LONGEST = 2500  # characters: somebody may have typed as many
CLAIM_VARIABLE = "GAN_PIPELINE_CLAIM"  # of the volume that a pod keeps its state on


class Interrupted(Exception):  # noqa: N818 - it is no error
    """The stage was asked to stop, has saved what it had, and can be continued (exit code 3)."""

    exit_code = 3

    def __init__(self, message: str = "interrupted; the same command continues") -> None:
        super().__init__(message)


@dataclass(frozen=True)
class Failure:
    """What the user is told: a sentence without line breaks, and the exit code of the process."""

    sentence: str
    exit_code: int
    status: str = "FAILED"  # of the MLflow run


def failure_of(error: BaseException, log: Path | None = None) -> Failure:
    """The sentence for `error`; one for an unforeseen error names the log that holds the traceback."""
    if isinstance(error, Interrupted | KeyboardInterrupt):
        return Failure(_one_line(str(error) or str(Interrupted())), Interrupted.exit_code, "KILLED")
    if isinstance(error, RequestError | RunError):
        return Failure(_one_line(str(error)), error.exit_code)
    if isinstance(error, OSError) and error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
        where = f"{str(error.filename)[:60]}..." if error.filename else "a path"
        return Failure(_one_line(f"{where}: {error.strerror}; name another place"), RequestError.exit_code)
    if isinstance(error, OSError) and (sentence := _disk_sentence(error)):
        return Failure(sentence, 1)
    if is_full_disk(error):
        return Failure("the disk is full: free some space, or choose another --workdir; the same command continues", 1)
    if isinstance(error, MemoryError) or any(words in str(error) for words in _NO_MEMORY):
        return Failure(
            "out of memory: use a smaller data.size, training.batch_size or number of samples, or a larger machine", 1
        )
    details = f"; the full traceback is in {log}" if log else ""
    return Failure(_one_line(f"unexpected {type(error).__name__}: {error or 'no message'}{details}"), 1)


def is_full_disk(error: BaseException) -> bool:
    """As far as no OSError says so: of safetensors and torch."""
    return any(words in str(error) for words in _FULL_DISK)


def _disk_sentence(error: OSError) -> str:
    where = f" at {error.filename}" if error.filename else ""
    if claim := os.environ.get(CLAIM_VARIABLE):
        return _volume_sentence(error, f"the volume of the claim {claim}", where)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk is full{where}: free some space, or choose another --workdir; the same command continues"
    if error.errno == errno.EROFS:
        return f"the file system{where} is read-only: choose a --workdir that can be written"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"no permission to read or write{where}: change its permissions, or choose another --workdir"
    return ""


def _volume_sentence(error: OSError, volume: str, where: str) -> str:
    """On a cluster there is no other work directory to choose."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{volume} is full{where}: free some space, or enlarge it; `gan-pipeline runs retry` continues"
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        user = f"user {os.getuid()} of group {os.getgid()}"
        remedy = "infra/kustomize/prepare-volume.yaml does that once, or a storage class that honours fsGroup"
        return f"{volume} cannot be written{where} by {user}: make it so; {remedy}"
    return ""


def _one_line(text: str) -> str:
    """Without line breaks and secrets; of a very long one the beginning and the end, where the remedy stands."""
    line = redact(" ".join(text.split()))
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 500]} [...] {line[-500:]}"

"""Which process is meant, long after: by its number and its start, for numbers are given out again."""

import os

import psutil


def parent_mark() -> str:
    """This very process: pid and start time. The value of GAN_PIPELINE_PARENT for the processes that it starts."""
    return f"{os.getpid()}:{psutil.Process().create_time():.2f}"


def is_alive(mark: str, slack: float = 1.0) -> bool:
    """Whether the process that `parent_mark` described still runs (its pid may have gone to another since).

    Args:
        slack: seconds by which the two start times may differ: both are read off a clock that may be set in between.
    """
    pid, _, started = mark.partition(":")
    try:
        process = psutil.Process(int(pid))
        return abs(process.create_time() - float(started)) < slack and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, ValueError):
        return False

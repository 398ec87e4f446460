"""The time of what is written down: it goes on evenly from where the machine's clock was when the process began.

The machine's own clock may be set back or on while a training runs; a duration of two of its moments would be bent by
that, and a metric could lie before the one that it follows.
"""

import time

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # the first goes on while a laptop sleeps
_BEGAN, _AT = time.time(), time.clock_gettime(_CLOCK)


def now() -> float:
    """Seconds since 1970, UTC."""
    return _BEGAN + time.clock_gettime(_CLOCK) - _AT

"""The two ways a run can end badly, as the user sees them.

Both carry one sentence that names the place, the offending value and the remedy, and are shown without a traceback.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class RequestError(Exception):
    """The request itself is wrong (exit code 2): nothing was done, asking differently helps."""

    exit_code = 2


class RunError(Exception):
    """The run failed in the middle (exit code 1): the request was fine, something on the way was not."""

    exit_code = 1


def unknown_name(kind: str, name: str, known: Iterable[str]) -> RequestError:
    """A sentence for a misspelt name, with the nearest right spelling first.

    >>> str(unknown_name("recipe", "dcgam", ["dcgan", "vanilla"]))
    "unknown recipe 'dcgam': did you mean 'dcgan'? Known: dcgan, vanilla"
    """
    names = sorted(known)
    by_lower_case = {known_name.lower(): known_name for known_name in names}
    near = get_close_matches(name.lower(), by_lower_case, n=1, cutoff=0.5)
    hint = f"did you mean {by_lower_case[near[0]]!r}? " if near else ""
    return RequestError(f"unknown {kind} {name!r}: {hint}Known: {', '.join(names)}")

"""The two ways a run can end badly, as the user sees them.

Both carry one sentence that names the place, the offending value and the remedy, and are shown without a traceback.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path


class RequestError(Exception):
    """The request itself is wrong (exit code 2): nothing was done, asking differently helps."""

    exit_code = 2


class RunError(Exception):
    """The run failed in the middle (exit code 1): the request was fine, something on the way was not."""

    exit_code = 1


class LostError(RunError):
    """Something took a process away that would have gone on: the same again continues from its checkpoint."""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> RequestError:
    """A sentence for a misspelt name, with the nearest right spelling first.

    >>> str(unknown_name("recipe", "dcgam", ["dcgan", "vanilla"]))
    "unknown recipe 'dcgam': did you mean 'dcgan'? Known: dcgan, vanilla"
    """
    names = sorted(known)
    near = nearest(name, names)
    hint = f"did you mean {near!r}? " if near else ""
    return RequestError(f"unknown {kind} {name!r}: {hint}Known: {', '.join(names)}")


def home_path(text: str | Path) -> Path:
    """A path with `~` filled in; RequestError where there is no such home, or no such path can be."""
    if "\0" in str(text):
        raise RequestError(f"{str(text)!r} holds a character of value 0, which no path does")
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise RequestError(f"{text}: the home folder that ~ stands for is not known; write the whole path") from None


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name closest to a misspelt one, whatever its case; "" when none is close."""
    folded = {each.casefold(): each for each in known}
    near = get_close_matches(name.casefold(), folded, n=1, cutoff=0.5)
    return folded[near[0]] if near else ""

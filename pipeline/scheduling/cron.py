"""Times written as cron: what they may be, and when they are due. cronsim walks the calendar.

A time that names the hour (02:30) is due once a day, on the days that the clock is changed as well: in the hour that
comes twice, the first time; where it is left out, when the clock goes on (03:00). One of every hour (minute 30 of *) is
due whenever the clock shows it.
"""

from datetime import UTC, datetime, timedelta

from cronsim import CronSim, CronSimError

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS: dict[str, tuple[int, int, tuple[str, ...]]] = {
    "second": (0, 59, ()),
    "minute": (0, 59, ()),
    "hour": (0, 23, ()),
    "day of the month": (1, 31, ()),
    "month": (1, 12, _MONTHS),
    "day of the week": (0, 6, _DAYS),  # Sunday is 0
}


def normalise_cron(cron: str) -> str:
    """Six fields with one space between them.

    >>> normalise_cron("30 2 * * mon-fri")
    '0 30 2 * * MON-FRI'

    Raises:
        ValueError: not a time that can be.
    """
    fields = cron.upper().split()
    if len(fields) not in (5, 6):
        raise ValueError(f"{cron!r} has {len(fields)} fields: expected 5 (minute first) or 6 (second first)")
    normalised = " ".join(["0"] * (6 - len(fields)) + fields)
    try:
        CronSim(_minutes(normalised), datetime.now(UTC))
    except CronSimError:  # of fields that are right, one by one
        raise ValueError(f"{cron!r} is never due: none of its months has that day") from None
    return normalised


def next_due(cron: str, after: datetime, both_with_star: bool = False) -> datetime:
    """When a normalised cron is due next after a moment, in its zone; without one, on an unchanging clock.

    Args:
        both_with_star: as Kubeflow reads it: of the two kinds of day both are wanted where one starts with a star.
    """
    start = _moment(after).replace(second=0, microsecond=0) - timedelta(seconds=1)
    seconds = sorted(_values(cron)["second"])
    for minute in CronSim(
        _minutes(cron, both_with_star), start if after.tzinfo is None else start.astimezone(after.tzinfo)
    ):
        for due in (minute.replace(second=second) for second in seconds):
            if _moment(due) > _moment(after):  # in the second of two equal hours, those of the first are past
                return due
    raise AssertionError(f"{cron} is never due")


def _moment(time: datetime) -> datetime:
    """Two times of one zone would be compared by what their clock shows."""
    return time if time.tzinfo is None else time.astimezone(UTC)


def _minutes(cron: str, both_with_star: bool = False) -> str:
    """Five fields for cronsim, which knows no `?` and mends changes of the clock only for hours that are listed."""
    fields = []
    for (kind, values), text in zip(_values(cron).items(), cron.split(), strict=True):
        every = len(values) == 24 if kind == "hour" else text in ("*", "?") and kind != "minute"
        starred = both_with_star and kind.startswith("day") and text.startswith("*")
        fields.append("*" if every else text if starred else ",".join(map(str, sorted(values))))
    return " ".join(fields[1:])


def _values(cron: str) -> dict[str, set[int]]:
    return {kind: _parse(kind, field) for kind, field in zip(_FIELDS, cron.split(), strict=True)}


def _parse(kind: str, text: str) -> set[int]:
    first, last, names = _FIELDS[kind]
    values: set[int] = set()
    for part in text.split(","):
        span, slash, step = part.partition("/")
        if slash and not (step.isdecimal() and int(step) > 0):
            raise ValueError(f"{kind} {text!r}: expected a number from 1 after the slash, as in */5")
        if span in ("*", "?") and (span == "*" or kind.startswith("day")):
            start, end = first, last
        else:
            ends = [_number(kind, word, first, last, names) for word in span.split("-")]
            if len(ends) > 2 or ends[0] > ends[-1]:
                raise ValueError(f"{kind} {text!r}: expected one value, or a range from low to high")
            start, end = ends[0], last if slash and len(ends) == 1 else ends[-1]
        values.update(range(start, end + 1, int(step or 1)))
    return values


def _number(kind: str, word: str, first: int, last: int, names: tuple[str, ...]) -> int:
    if word.lower() in names:
        return first + names.index(word.lower())
    if word.isdecimal() and first <= int(word) <= last:
        return int(word)
    also = f" or {names[0].upper()} to {names[-1].upper()}" if names else ""
    raise ValueError(f"{kind} {word!r}: expected {first} to {last}{also}")

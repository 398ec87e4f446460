"""Settings that change while a training goes on: rates, decays, weights, batches; one mechanism for all of them.

A setting takes a number, or one of

    {linear: [2e-4, 0], since: 0.5}             from the first value to the second between two shares of the steps
    {cosine: [2e-4, 5e-5], until: 0.1}          likewise, along half a period of the cosine
    {exponential: [0.1, 1e-6]}                  likewise, by the same factor at each step
    {by_resolution: {4: 1e-3, 128: 1.5e-3}}     by the size that is trained at: each holds from its size on
    {by_share: {0: 2e-4, 0.5: 1e-4}}            by the share of the steps that is done: each holds from its share on
    {half_life: 20000, ramp: 0.05}              training.ema alone: a decay by the images that it is halved in
    {adaptive: 0.6}                             game.augmentation_probability alone: as D's logits of real images ask

and is read by `value_at`, a pure function of the moment: there is nothing to save.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, NamedTuple, TypeAlias, Union

from pydantic import AfterValidator, BaseModel, Discriminator, Field, Tag, model_validator

from gan_models.sections import NonNegativeFloat, PositiveFloat, PositiveInt, Section, Share


class Moment(NamedTuple):
    """Where a training stands."""

    share: float
    """Of its steps that lie behind it, 0 to 1."""
    resolution: int
    """Side of the images that it works on, pixels."""
    images: int = 0
    """Real ones, drawn until then."""
    batch: int = 1
    """Real images of the step."""
    adapted: Any = 0.0
    """What an adaptive setting has come to, a number or 0-d."""


class Schedule(Section):
    """Base of the values that change."""

    def at(self, moment: Moment) -> float:
        """The value at a moment."""
        raise LookupError(f"{type(self).__name__} says no value")

    @property
    def values(self) -> tuple[float, ...]:
        """Those between which all others lie."""
        raise LookupError(f"{type(self).__name__} says no values")


class Ramp(Schedule):
    """From one value to another; the first before `since`, the second after `until`."""

    since: Share = Field(0.0, description="share of the steps where it begins")
    until: Share = Field(1.0, description="share of the steps where it has ended")

    @model_validator(mode="after")
    def _is_not_empty(self) -> Ramp:
        if self.since >= self.until:
            raise ValueError(f"since ({self.since:g}) must be below until ({self.until:g})")
        return self

    def progress(self, moment: Moment) -> float:
        """How much of the way is done, 0 to 1."""
        return min(1.0, max(0.0, (moment.share - self.since) / (self.until - self.since)))


class Linear(Ramp):
    """In a straight line."""

    linear: tuple[float, float] = Field(description="first and last value")

    def at(self, moment: Moment) -> float:
        (first, last), done = self.linear, self.progress(moment)
        return (1.0 - done) * first + done * last

    @property
    def values(self) -> tuple[float, ...]:
        return self.linear


class Cosine(Ramp):
    """Slowly away from the first value and slowly to the last (Loshchilov, Hutter 2017, eq. 5, without restarts)."""

    cosine: tuple[float, float] = Field(description="first and last value")

    def at(self, moment: Moment) -> float:
        first, last = self.cosine
        return last + (first - last) * 0.5 * (1.0 + math.cos(math.pi * self.progress(moment)))

    @property
    def values(self) -> tuple[float, ...]:
        return self.cosine


class Exponential(Ramp):
    """By the same factor at each step."""

    exponential: tuple[PositiveFloat, PositiveFloat] = Field(description="first and last value")

    def at(self, moment: Moment) -> float:
        first, last = self.exponential
        return first * (last / first) ** self.progress(moment)

    @property
    def values(self) -> tuple[float, ...]:
        return self.exponential


class ByResolution(Schedule):
    """A value for each size of images, as networks that grow need them (Karras et al. 2018, appendix A)."""

    by_resolution: dict[PositiveInt, float] = Field(min_length=1, description="size in pixels: its value from there on")

    def at(self, moment: Moment) -> float:
        reached = [size for size in self.by_resolution if size <= moment.resolution]
        return self.by_resolution[max(reached, default=min(self.by_resolution))]

    @property
    def values(self) -> tuple[float, ...]:
        return tuple(self.by_resolution.values())


class ByShare(Schedule):
    """A value for each part of the steps, as rates that are halved or divided by ten now and then have it."""

    by_share: dict[Share, float] = Field(min_length=1, description="share of the steps: its value from there on")

    def at(self, moment: Moment) -> float:
        reached = [share for share in self.by_share if share <= moment.share]
        return self.by_share[max(reached, default=min(self.by_share))]

    @property
    def values(self) -> tuple[float, ...]:
        return tuple(self.by_share.values())


class HalfLife(Schedule):
    """The decay of an average by images: what it has of any one is half as much so many later (Karras et al. 2018).

    With a ramp r, the half-life is at most r times the images seen, which forgets the first ones (2020b, appendix C).
    """

    half_life: NonNegativeFloat | Linear | Cosine = Field(description="images that an image's share is halved in")
    ramp: PositiveFloat | None = Field(None, description="at most this share of the images seen until then")

    def at(self, moment: Moment) -> float:
        images = value_at(self.half_life, moment)
        if self.ramp is not None:
            images = min(images, self.ramp * moment.images)
        return 0.5 ** (moment.batch / max(images, 1e-8))

    @property
    def values(self) -> tuple[float, ...]:
        return (0.0,)


class Adaptive(Schedule):
    """A probability of augmentation that rises where D overfits, falls where not (Karras et al. 2020b, section 3.1).

    D overfits where the mean sign of its logits of real images is above a target.
    """

    adaptive: Share = Field(description="the target; the paper's is 0.6")
    full: PositiveInt = Field(500_000, description="real images in which the probability can rise from 0 to 1")
    every: PositiveInt = Field(4, description="steps between its changes")

    def at(self, moment: Moment) -> Any:
        return moment.adapted

    @property
    def values(self) -> tuple[float, ...]:
        return (0.0, 1.0)


Scheduled: TypeAlias = float | Schedule
"""A number, or how it changes."""

FORMS: dict[str, type[Schedule]] = {
    "linear": Linear,
    "cosine": Cosine,
    "exponential": Exponential,
    "by_resolution": ByResolution,
    "by_share": ByShare,
    "half_life": HalfLife,
    "adaptive": Adaptive,
}
"""Kinds of schedules, by the key that tells them apart."""
USUAL = ("linear", "cosine", "exponential", "by_resolution", "by_share")
NUMBER = "number"
_WRITTEN = {
    "linear": "{linear: [first, last], since: 0, until: 1}",
    "cosine": "{cosine: [first, last], since: 0, until: 1}",
    "exponential": "{exponential: [first, last], since: 0, until: 1}",
    "by_resolution": "{by_resolution: {size: value}}",
    "by_share": "{by_share: {share: value}}",
    "half_life": "{half_life: images, ramp: share}",
    "adaptive": "{adaptive: target}",
}


def scheduled(number: Any = float, *, forms: Sequence[str] = USUAL, **bounds: float) -> Any:
    """The annotation of a setting that takes a number within bounds, or a schedule whose values are.

    Args:
        number: the type of a number.
        forms: the kinds of schedules that it takes.
        bounds: `ge`, `gt`, `le`, `lt` as in `pydantic.Field`; a schedule may reach `gt` itself, as a rate falls to 0.
    """
    least, most, below = bounds.get("ge", bounds.get("gt")), bounds.get("le"), bounds.get("lt")

    def check(value: Any) -> Any:
        for each in value.values if isinstance(value, Schedule) else ():
            if least is not None and each < least:
                raise ValueError(f"each value must be at least {least:g}, and {each:g} is not")
            if (most is not None and each > most) or (below is not None and each >= below):
                bound = f"at most {most:g}" if most is not None else f"below {below:g}"
                raise ValueError(f"each value must be {bound}, and {each:g} is not")
            if number is int and each != int(each):
                raise ValueError(f"each value must be a whole number, and {each:g} is not")
        return value

    def form(value: Any) -> str:
        keys = value if isinstance(value, Mapping) else type(value).model_fields if isinstance(value, BaseModel) else ()
        return next((name for name in FORMS if name in keys), forms[0] if keys else NUMBER)

    kinds = [Annotated[FORMS[name], Tag(name)] for name in forms]
    plain = Annotated[number, Field(**bounds), Tag(NUMBER)]
    return Annotated[Union[(plain, *kinds)], Discriminator(form), AfterValidator(check)]


def in_words(forms: Iterable[str]) -> str:
    """How schedules of these kinds are written: the first in full."""
    first, *others = forms
    return " ".join([f"a schedule as {_WRITTEN[first]}", *([f"(or {', '.join(others)})"] if others else [])])


def value_at(setting: Scheduled, moment: Moment) -> float:
    """What a setting is at a moment."""
    return setting.at(moment) if isinstance(setting, Schedule) else setting


def largest(setting: Scheduled) -> float:
    """The largest value that it takes."""
    return max(setting.values) if isinstance(setting, Schedule) else setting


def schedules_in(section: Any, key: str = "") -> Iterator[tuple[str, Schedule]]:
    """All schedules in a section of a recipe, with their keys as `--set` takes them."""
    if isinstance(section, Schedule):
        yield key, section
    if isinstance(section, BaseModel):
        for name in type(section).model_fields:
            yield from schedules_in(getattr(section, name), f"{key}.{name}".removeprefix("."))
    elif isinstance(section, tuple):
        for place, item in enumerate(section):
            yield from schedules_in(item, f"{key}.{place}")

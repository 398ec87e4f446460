"""What a preset was made for: the data it was published on, what came of that, and how large its networks are."""

from __future__ import annotations

from pydantic import Field

from gan_models.sections import NonNegativeInt, PositiveInt, Section


class Published(Section):
    """Trainable numbers of both players as somebody else counted them, all players of a kind together."""

    generator: int | str = Field(description="exact, or as a paper rounds it, as in 32.2 M")
    discriminator: int | str = Field(description="likewise")
    source: str = Field(description="where the numbers are from")


class MadeFor(Section):
    """What a preset was made for; the size of the images is `data.size`."""

    data: str = Field(description="the data set, in words")
    channels: PositiveInt = Field(3, description="of its images")
    classes: NonNegativeInt = Field(0, description="how many it is told apart by; 0: it needs none")
    domains: NonNegativeInt = Field(0, description="likewise, domains that it translates between")
    attributes: NonNegativeInt = Field(0, description="likewise, attributes that an image has or has not")
    embedding: NonNegativeInt = Field(0, description="width of the vectors that stand for texts")
    words: NonNegativeInt = Field(0, description="vocabulary of its captions")
    figure: str = Field("", description="what the paper reports")
    parameters: Published | None = Field(None, description="published sizes of the networks")

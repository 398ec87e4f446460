"""What all sections of a recipe have in common, the number types they are made of, and sections of several forms."""

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar, Union

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from gan_models.errors import unknown_name

Size = Annotated[int, Field(ge=8, le=1024)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
PositiveInt = Annotated[int, Field(gt=0)]
NonNegativeInt = Annotated[int, Field(ge=0)]
PositiveFloat = Annotated[float, Field(gt=0.0)]
NonNegativeFloat = Annotated[float, Field(ge=0.0)]


Form = TypeVar("Form", bound="Section")


class Section(BaseModel):
    """Base of all sections: immutable; an unknown key is an error, and so is a number that is not finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def by_tag(tag: str, *forms: type[Form]) -> dict[str, type[Form]]:
    """Forms of a section by the value that their field `tag` always has."""
    return {form.model_fields[tag].default: form for form in forms}


def one_of(forms: Mapping[str, type[Section]], tag: str, *, kind: str, default: str = "") -> Any:
    """The annotation of a section that has one of several forms, told apart by its field `tag`.

    A bare name stands for that form with its usual settings.

    Args:
        forms: by their names.
        kind: what one of them is called, as in "unknown game.loss 'hing'".
        default: the form that is meant where a document does not say which.
    """

    def complete(value: Any) -> Any:
        section = {tag: value} if isinstance(value, str) else value
        if not isinstance(section, Mapping):
            return section
        name = section.get(tag, default)
        if name and (not isinstance(name, str) or name not in forms):
            raise ValueError(str(unknown_name(kind, str(name), forms)))
        return {tag: name, **section} if name else section

    return Annotated[Union[tuple(forms.values())], Field(discriminator=tag), BeforeValidator(complete)]  # noqa: UP007

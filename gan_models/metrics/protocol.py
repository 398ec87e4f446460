"""What a figure depends on besides the images that it is of: two figures compare where all of it is equal.

Needs no PyTorch, so that whoever compares figures does not either.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, computed_field

DEFINITIONS = 1
"""Of the metrics in this package; raised when one of them changes what it gives for equal images."""


class Reference(BaseModel):
    """The real images that samples are compared with."""

    model_config = ConfigDict(frozen=True)

    data: str  # fingerprint
    source: str  # as people call it; not part of the digest
    split: str
    images: int


class Protocol(BaseModel):
    """How figures were made. The short key of a figure (`FD-classifier`) means something only together with this."""

    model_config = ConfigDict(frozen=True)

    extractor: dict[str, Any]  # as `FeatureExtractor.describe` has it: name, weights, preprocessing, layer
    reference: Reference
    samples: int
    parameters: dict[str, int]  # splits of IS, subsets of KID, k of precision, recall, density and coverage
    definitions: int = DEFINITIONS

    @computed_field  # type: ignore[prop-decorator]
    @property
    def digest(self) -> str:
        """Equal where figures compare, twelve hexadecimal digits."""
        return hashlib.sha256(json.dumps(self._decisive(), sort_keys=True).encode()).hexdigest()[:12]

    @property
    def sentence(self) -> str:
        """How many images were compared with which, as the end of a sentence."""
        return f"{self.samples} images against {self.reference.images} of the {self.reference.split} split"

    def difference(self, other: Protocol) -> str:
        """What is not equal, this one's first, as "samples 5000 and 1000"; "" where all is equal.

        Long values such as digests are cut to eight characters.
        """
        ours, theirs = _flat(self._decisive()), _flat(other._decisive())
        return ", ".join(
            f"{name} {_short(ours.get(name))} and {_short(theirs.get(name))}"
            for name in dict.fromkeys([*ours, *theirs])
            if ours.get(name) != theirs.get(name)
        )

    def _decisive(self) -> dict[str, Any]:
        """What figures depend on: a classifier's accuracy follows from its weights, the name of data from nothing."""
        whole = self.model_dump(mode="json", exclude={"digest": True, "reference": {"source"}})
        whole["extractor"].pop("accuracy", None)
        return whole


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return flat


def _short(value: object) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= 24 else f"{text[:8]}..."

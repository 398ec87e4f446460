"""What the images of a source come with, seen from its name or its files alone."""

from __future__ import annotations

from components.prepare_data.sources.registry import (
    PATH_KINDS,
    absolute_source,
    open_source,
    parse_source,
    source_version,
)
from components.prepare_data.sources.torchvision_catalogue import CATALOGUE
from components.prepare_data.sources.toy_catalogue import TOYS

__all__ = ["PATH_KINDS", "absolute_source", "carried_by", "parse_source", "source_version", "toys_with"]


def carried_by(source: str) -> frozenset[str]:
    """What the images of a source come with: `labels`, `domains`, `captions`; nothing is decoded or downloaded.

    Raises:
        RequestError: there is no such source, or nothing usable in it.
    """
    name = parse_source(source)
    if name.kind == "toy":
        toy = TOYS[name.rest]
        has = {"labels": True, "domains": bool(toy.domains), "captions": toy.captions}
    elif name.kind in PATH_KINDS:
        opened = open_source(source)
        has = {
            "labels": bool(opened.class_names),
            "domains": bool(opened.domain_names),
            "captions": opened.has_captions,
        }
    else:
        has = {"labels": name.kind != "torchvision" or CATALOGUE[name.rest].labelled}
    return frozenset(what for what, there in has.items() if there)


def toys_with(what: str) -> list[str]:
    """The toys whose images come with it, as sources."""
    return [f"toy:{name}" for name in TOYS if what in carried_by(f"toy:{name}")]

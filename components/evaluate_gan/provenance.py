"""Where a generator and its figures come from: settings, data, code, time and protocol, as the page lists them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from components.artifacts import Choice, Curves, DataSummary, ScoredCheckpoint, Training, read_selection_table
from components.evaluate_gan.findings import Findings
from components.evaluate_gan.wording import duration, number
from components.stage.stage import flatten
from gan_models.data.shape import COLOURS
from gan_models.data.table_file import SPLITS
from gan_models.errors import RequestError, RunError
from gan_models.recipes.loading import load_recipe, preset_names
from gan_models.recipes.schema import MODEL_SECTIONS, Evaluation, Recipe
from gan_models.recipes.settings import explain

_NONE = "none"
_PARAMETERS = {
    "is_splits": "splits of IS", "kid_subsets": "subsets of KID", "kid_subset_size": "images in each",
    "neighbours": "nearest neighbours k",
}  # fmt: skip


class Past(NamedTuple):
    """What came with the generator and the data; None or empty where it did not."""

    checkpoints: list[ScoredCheckpoint]
    choice: Choice | None
    curves: Curves | None
    training: Training | None
    data: DataSummary | None


class Difference(NamedTuple):
    """A setting that is not as usual."""

    key: str
    value: str
    usual: str


class Provenance(NamedTuple):
    """Facts by what they are of, each a name and a value."""

    settings_beside: str  # what the settings differ from
    settings: list[Difference]
    data: list[tuple[str, str]]
    counts: list[list[str]]  # a heading, then a line for each class
    data_notes: list[str]
    made: list[tuple[str, str]]
    cost: list[tuple[str, str]]
    protocol: list[tuple[str, str]]


def read_past(generator: Path, dataset: Path) -> Past:
    """Of the folder of select_checkpoint and that of prepare_data."""

    def read(document: type[Any], folder: Path) -> Any:
        with suppress(RunError):
            return document.read(folder)
        return None

    return Past(
        read_selection_table(generator),
        read(Choice, generator),
        read(Curves, generator),
        read(Training, generator),
        read(DataSummary, dataset),
    )


def provenance(
    findings: Findings, recipe: Recipe, evaluation: Evaluation, past: Past, *, code_version: str, seconds: float
) -> Provenance:
    """All of it; `seconds` are those of the evaluation so far."""
    beside, settings = different_settings(recipe, evaluation)
    return Provenance(
        beside,
        settings,
        _data(findings, past.data),
        _counts(past.data),
        [*past.data.doubts, *past.data.notes] if past.data else [],
        _made(findings, past.training, code_version),
        _cost(recipe, past, seconds),
        _protocol(findings, past.choice),
    )


def different_settings(recipe: Recipe, evaluation: Evaluation) -> tuple[str, list[Difference]]:
    """Of data, model and evaluation, from the built-in recipe of the name, else from the schema's defaults."""
    sections = ("data", *MODEL_SECTIONS, "evaluation")
    ours = _leaves(recipe.model_copy(update={"evaluation": evaluation}), sections)
    usual: dict[str, Any] = {}
    if recipe.name in preset_names():
        beside = f"the built-in recipe {recipe.name}"
        with suppress(RequestError):
            usual = _leaves(load_recipe(recipe.name), sections)
    else:
        beside = f"the defaults: {recipe.name} is no built-in recipe"
        usual = {setting.key: setting.default for setting in explain(recipe) if setting.default is not ...}
        ours = {key: value for key, value in ours.items() if key in usual}
        usual = {key: value for key, value in usual.items() if key in ours}
    keys = [*ours, *(key for key in usual if key not in ours)]
    return beside, [
        Difference(key, _shown(ours.get(key)), _shown(usual.get(key)))
        for key in keys
        if _shown(ours.get(key)) != _shown(usual.get(key))
    ]


def _leaves(recipe: Recipe, sections: tuple[str, ...]) -> dict[str, Any]:
    return flatten(recipe.model_dump(mode="json", include=set(sections)))


def _shown(value: Any) -> str:
    if value is None or value == "":
        return _NONE
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _data(findings: Findings, data: DataSummary | None) -> list[tuple[str, str]]:
    facts = [("source", findings.data["source"]), ("fingerprint", findings.data["fingerprint"])]
    if data is None:
        return facts
    splits = ", ".join(f"{split} {count}" for split, count in data.splits.items())
    facts += [
        ("images", f"{data.images} ({splits})"),
        ("size", f"{data.height} x {data.width}, {_colours(data)}"),
        *([("range", "; ".join(data.ranges))] if data.ranges else []),
        ("classes", f"{len(data.classes)}" if data.classes else _NONE),
    ]
    facts += [("domains", ", ".join(data.domains))] if data.domains else []
    facts += [("attributes", ", ".join(data.attributes))] if data.attributes else []
    facts += [("pairs", "each image with the one that it is to be made from")] if data.pairs else []
    facts += [("words in captions", f"{data.words}")] if data.words else []
    facts += [("numbers of an embedding", f"{data.embeddings[1]}")] if data.embeddings[1] else []
    facts += [("left out as unreadable", f"{data.bad}")] if data.bad else []
    facts += [("equal images removed", f"{removed}")] if (removed := data.duplicates.get("removed")) else []
    return facts


def _counts(data: DataSummary | None) -> list[list[str]]:
    if data is None or not data.classes:
        return []
    splits = [split for split in SPLITS if split in data.counts]
    lines = [[name, *(str(data.counts[split].get(name, 0)) for split in splits)] for name in data.classes]
    return [["class", *splits], *lines]


def _made(findings: Findings, training: Training | None, code_version: str) -> list[tuple[str, str]]:
    made = findings.generated
    facts = [
        ("recipe", str(made["recipe_name"])),
        ("seed of the training", str(made["seed"])),
        ("seed of the judged images", str(findings.seed)),
        ("generator", f"step {made['step']}" + (f" of {training.steps}" if training else "")),
    ]
    facts += [("digest of the recipe", training.recipe_digest)] if training else []
    facts += [("version of the code", code_version)] if code_version else []
    facts += _environment("evaluation", findings.environment)
    if training:
        facts += _environment("training", training.environment)
    return facts


def _environment(of: str, found: Mapping[str, str]) -> list[tuple[str, str]]:
    facts = []
    if revision := found.get("git.revision"):
        changed = " with files changed" if found.get("git.dirty") == "true" else ""
        facts.append((f"commit of the {of}", f"{revision}{changed}"))
    parts = [
        f"{name.removeprefix('environment.')} {found[name]}"
        for name in ("environment.device", "environment.threads", "environment.cpus", "environment.platform")
        if name in found
    ]
    return [*facts, (f"machine of the {of}", ", ".join(parts))] if parts else facts


def _cost(recipe: Recipe, past: Past, seconds: float) -> list[tuple[str, str]]:
    facts, batch, each = [], max(recipe.training.batch_sizes), recipe.game.discriminator_steps
    drawn = past.curves.steps if past.curves else []
    steps = past.training.steps if past.training else drawn[-1] if drawn else recipe.training.steps
    seen = steps * batch * each
    epochs = ""
    if past.data and past.data.splits.get("train"):
        epochs = f", {number(seen / past.data.splits['train'])} times each training image"
    turns = f" x {each} steps of D" if each > 1 else ""
    most = "at most " if len(recipe.training.batch_sizes) > 1 else ""
    facts.append(("images seen by D", f"{most}{seen:,} ({steps:,} steps of {most}{batch}{turns}{epochs})"))
    if past.training:
        ranks = recipe.training.ranks
        hours = past.training.seconds / 3600 * (ranks or 1)
        facts.append(("training", duration(past.training.seconds)))
        facts.append(("device hours", number(hours) + (f" on {ranks} devices" if ranks else "")))
    if past.choice and past.choice.seconds is not None:
        facts.append(("selection", duration(past.choice.seconds)))
    return [*facts, ("evaluation", duration(seconds))]


def _protocol(findings: Findings, choice: Choice | None) -> list[tuple[str, str]]:
    extractor, reference, real = findings.protocol.extractor, findings.reference, findings.real_sample
    facts = [("extractor", findings.extractor_choice)]
    facts += [(name, _shown(value)) for name, value in extractor.items() if name not in ("name", "accuracy")]
    facts += [(f"its accuracy on {of}", number(share, True)) for of, share in (extractor.get("accuracy") or {}).items()]
    facts += [
        ("generated images", str(findings.generated["images"])),
        ("against", f"{reference['images']} of {reference['of']} images of the {reference['split']} split"),
        ("real images in the generator's place", f"{real['images']} of {real['of']} of the {real['split']} split"),
        *((_PARAMETERS.get(name, name), str(value)) for name, value in findings.protocol.parameters.items()),
    ]
    if choice:
        facts.append(("chosen by", f"{choice.metric}, {choice.protocol.sentence}"))
    names = ("gan-pipeline", "torch", "numpy", "python")
    versions = [
        f"{name} {findings.environment[key]}"
        for name in names
        if (key := f"environment.{name}") in findings.environment
    ]
    return [
        *facts,
        ("versions", ", ".join(versions)),
        ("digest of all that figures depend on", findings.protocol.digest),
    ]


def _colours(data: DataSummary) -> str:
    """What images store, and what metrics see of it."""
    bits = f" of {data.depth} bits, of which metrics see the first 8" if data.depth > 8 else ""
    seen = ", which metrics see on white" if data.channels == 4 else ""
    return f"{COLOURS[data.channels]}{bits}{seen}"

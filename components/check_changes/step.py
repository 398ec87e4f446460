"""Decides whether there is anything to train: the data or the recipe must differ from the champion's."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel

from components.artifacts import Champion, Outcome, clear_outcome
from components.markdown import plain
from components.stage.request import StageRequest
from components.stage.stage import Stage
from components.tracking.champions import Lineage
from gan_models.data.table_file import TableMetadata, read_metadata
from gan_models.recipes import recipe_digest
from gan_models.recipes.loading import parse_recipe


class Request(StageRequest):
    """What would be trained, and what was."""

    dataset: Path
    champion: Path  # the folder of find_champion
    model: dict[str, Any]  # the sections of the recipe that decide the weights
    seed: int
    force: bool


class Result(BaseModel):
    """Whether to train, and why."""

    train: bool
    sentence: str


def run(request: Request, stage: Stage) -> Result:
    """Compares fingerprint and recipe with the champion's and with those of challengers that were kept out."""
    clear_outcome(stage.context)
    champion = Champion.read(request.champion)
    result = _decide(request, read_metadata(request.dataset), champion)
    stage.note(result.sentence)
    stage.set_tags({"train": str(result.train).lower(), "reason": result.sentence})
    if not result.train:
        stage.headline({}, f"**Retraining** {plain(result.sentence)}", {"decision": "unchanged"})
        Outcome(
            run_id=stage.context.run_id,
            decision="unchanged",
            sentence=result.sentence,
            model=champion.model,
            champion=champion.version,
        ).write(Path(stage.context.state_dir))
    return result


def _decide(request: Request, metadata: TableMetadata, champion: Champion) -> Result:
    name, version = champion.model, champion.version
    # The files of the champion, not what was written down of them: other code takes other digests of an equal recipe.
    generator = Champion.generator(request.champion)
    before = Lineage.of_folder(generator) if generator else champion.lineage
    recipe = parse_recipe(request.model | {"data": metadata.options}, origin="the recipe")
    data, digest = metadata.fingerprint, recipe_digest(recipe)
    here = Lineage(recipe=recipe.name, recipe_digest=digest, data_fingerprint=data, seed=request.seed)
    if request.force and version:
        return Result(train=True, sentence=f"training whatever has changed since version {version}: --force")
    changed = ["data"] if before is None or before.data_fingerprint != data else []
    changed += ["recipe"] if before is None or before.recipe_digest != digest else []
    if not changed:
        return Result(
            train=False,
            sentence=f"nothing to train: data ({data[:8]}) and recipe ({here.recipe}) are those of "
            f"the champion, version {version} of {name}; --force trains all the same",
        )
    for judged in () if request.force else champion.judged:
        stale = judged.decision == "kept" and judged.against != version
        if not stale and judged.lineage.same_training(here):
            decision = "kept out" if judged.decision == "kept" else judged.decision
            against = f" against the champion, version {version}" if version else ""
            return Result(
                train=False,
                sentence=f"nothing to train: version {judged.version} of {name} is of the same data, recipe and "
                f"seed and was {decision}{against}; --force trains all the same",
            )
    if not version:
        return Result(train=True, sentence=f"{name} has no champion yet: training the first")
    return Result(train=True, sentence=f"{' and '.join(changed)} changed since the champion, version {version}")

"""The KFP components of the stage prepare_data: all of it, or parts of the import and what makes a table of them."""

from kfp import dsl
from kfp.dsl import Dataset, Input, Output


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def prepare_data(data: str, source_version: str, code_version: str, run: str, dataset: Output[Dataset]) -> None:
    """Imports a source of images into one table of square uint8 images, with splits and a fingerprint.

    Args:
        data: the recipe's `data` section as JSON.
        source_version: a digest of what lies at the source; only there to make cached results go stale.
        code_version: of the project; only there to make cached results go stale.
        run: which pipeline run this belongs to and where it is tracked, as JSON.
        dataset: folder with `table.json` and its `shards`, `summary.json`, `preview.png`, `quarantine.csv` and
            `duplicates.csv`.
    """
    from components.prepare_data import step
    from components.stage.request import run_step

    result = run_step(step, run, data=data, output=dataset.path)
    dataset.metadata.update(result.model_dump(exclude={"seconds", "images_per_second"}))


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def import_shards(
    data: str, part: int, source_version: str, code_version: str, run: str, shards: Output[Dataset]
) -> None:
    """Imports some of the shards that a data set will have.

    Args:
        data: the recipe's `data` section as JSON; its `workers` says how many parts there are.
        part: which of them, from 0.
        source_version: as of `prepare_data`.
        code_version: of the project; only there to make cached results go stale.
        run: which pipeline run this belongs to and where it is tracked, as JSON.
        shards: folder with `part.json`, `quarantine.csv` and the shards, for `merge_shards`.
    """
    from components.prepare_data import step
    from components.stage.stage import run_component

    request = step.PartRequest(data=data, part=part, output=shards.path)
    run_component(f"import_shards-{part}", lambda stage: step.run_part(request, stage), run)


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def merge_shards(
    data: str,
    parts: Input[list[Dataset]],
    source_version: str,
    code_version: str,
    run: str,
    dataset: Output[Dataset],
) -> None:
    """Makes one data set of imported parts, as `prepare_data` makes it of the images.

    Args:
        data: the recipe's `data` section as JSON.
        parts: what `import_shards` left, of all parts.
        source_version: as of `prepare_data`.
        code_version: of the project; only there to make cached results go stale.
        run: which pipeline run this belongs to and where it is tracked, as JSON.
        dataset: as of `prepare_data`.
    """
    from components.prepare_data import step
    from components.stage.request import run_step

    result = run_step(step, run, data=data, parts=[each.path for each in parts], output=dataset.path)
    dataset.metadata.update(result.model_dump(exclude={"seconds", "images_per_second"}))

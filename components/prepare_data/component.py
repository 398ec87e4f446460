"""The KFP component of the stage prepare_data."""

from kfp import dsl
from kfp.dsl import Dataset, Output


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

"""The export: a folder that draws by itself, samples that can be read anywhere."""

import io
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from components.export_samples import step
from components.stage.stage import RunContext, open_stage
from gan_models.data.shape import DataShape
from gan_models.families.building import build_generator
from gan_models.recipes import load_recipe
from gan_models.recipes.schema import Export
from gan_models.sampling.generator import GeneratorInfo, load_generator, save_generator


def export(tmp_path: Path, dataset: Path, recipe_name: str) -> Path:
    torch.manual_seed(0)
    recipe = load_recipe(recipe_name, ["networks.generator.width=4", "data.source=digits"])
    info = GeneratorInfo(
        recipe_name=recipe_name, image_shape=(1, 8, 8), class_names=tuple("0123456789"), step=6, seed=0,
        data_fingerprint="f", diversity=1.0, collapsed=False,
    )  # fmt: skip
    save_generator(tmp_path / "selected", build_generator(recipe, DataShape((1, 8, 8), 10)).state_dict(), recipe, info)
    request = step.Request(
        generator=tmp_path / "selected", report=tmp_path / "none", dataset=dataset, export=Export(samples=12),
        output=tmp_path / "export", cache_dir=tmp_path / "cache", seed=3,
    )  # fmt: skip
    with open_stage("export_samples", RunContext(state_dir=str(tmp_path / "state"))) as stage:
        result = step.run(request, stage)
    assert result.samples == 12
    assert result.registered_name == f"{recipe_name}-digits"
    return tmp_path / "export"


@pytest.mark.parametrize("recipe", ["dcgan", "cgan-projection"])
def test_parquet_holds_the_images_labels_and_the_latents_that_make_them_again(
    recipe: str, tmp_path: Path, dataset: Path
) -> None:
    folder = export(tmp_path, dataset, recipe)
    table = pq.read_table(folder / "samples.parquet")
    assert str(table.schema.field("image").type) == "struct<bytes: binary, path: string>"
    assert ("label" in table.column_names) == (recipe == "cgan-projection")
    latents = torch.tensor(table["latent"].to_pylist())
    labels = torch.tensor(table["label"].to_pylist()) if "label" in table.column_names else None
    inputs = {"latents": latents} | ({} if labels is None else {"labels": labels})
    again = load_generator(folder).synthesize(inputs).images
    for index, row in enumerate(table["image"].to_pylist()):
        pixels = np.asarray(Image.open(io.BytesIO(row["bytes"])))
        assert pixels.shape == (8, 8)
        np.testing.assert_array_equal(pixels, again[index, ..., 0].numpy())
        assert (folder / row["path"]).read_bytes() == row["bytes"]


def test_pictures_have_ten_rows_of_classes_and_the_walks(tmp_path: Path, dataset: Path) -> None:
    folder = export(tmp_path, dataset, "cgan-projection")
    scale = 56 // 8
    assert Image.open(folder / "grid.png").size == ((10 * 10 - 2) * scale,) * 2
    assert Image.open(folder / "interpolation.png").size == ((10 * 10 - 2) * scale, (2 * 4 * 10 - 2) * scale)
    assert not (folder / "arithmetic.png").exists()


@pytest.mark.parametrize(
    ("source", "name"),
    [("mnist-5k", "dcgan-mnist-5k"), ("folder:/a/my cats/", "dcgan-my-cats"), ("torchvision:CIFAR10", "dcgan-CIFAR10")],
)
def test_registry_names_are_plain(source: str, name: str) -> None:
    assert load_recipe("dcgan", [f"data.source={source}"]).registry_name == name

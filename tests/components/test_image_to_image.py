"""Image-to-image recipes through every stage, and what a user then does with the exported folder."""

import base64
import io
import json
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from components.artifacts import Choice
from components.evaluate_gan import step as evaluate_gan
from components.evaluate_gan.findings import Findings
from components.export_samples import step as export_samples
from components.prepare_data import step as prepare_data
from components.select_checkpoint import step as select_checkpoint
from components.stage.stage import RunContext, open_stage
from components.tracking.mlflow.packing import describe_generator
from components.train_gan import step as train_gan
from gan_models.data.table import ImageTable
from gan_models.errors import RequestError
from gan_models.recipes import load_recipe, model_document
from gan_models.recipes.schema import Evaluation, Export, Selection
from gan_models.sampling.generator import load_generator
from gan_models.sampling.served import RowServer, _load_pyfunc
from pipeline.cli import call
from pipeline.cli.sample import sample
from pipeline.results import print_results

RECIPES = {
    "cyclegan": ("cyclegan",),
    "attribute-transfer": ("attribute-transfer",),
    "attributes": ("attribute-transfer", "game.transfers=attributes", "data.source=toy:shapes"),
    "pix2pix": ("pix2pix",),
    "colorization": ("colorization",),
}
"""A recipe and its settings, by what a run of it is called here."""
COLUMNS = {"cyclegan": 3, "attribute-transfer": 4, "attributes": 4, "pix2pix": 3, "colorization": 5}
"""Images in a row of before and after."""
TINY = [
    "data.size=16", "data.max_images=300", "training.steps=6", "training.tick=3", "training.keep=2",
    "training.threads=1", "training.batch_size=8", "networks.generator.width=4",
]  # fmt: skip


class Run(NamedTuple):
    """The folders of a finished run."""

    name: str
    dataset: Path
    training: Path
    report: Path
    export: Path
    selection: Choice
    evaluation: Findings


@pytest.fixture(scope="module", params=RECIPES)
def finished(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    name = request.param
    folder = tmp_path_factory.mktemp(name)
    chosen, *settings = RECIPES[name]
    narrow = [] if name == "colorization" else ["networks.discriminator.width=4"]  # which has none
    recipe = load_recipe(chosen, [*TINY, *narrow, *settings])
    places = {part: folder / part for part in ("dataset", "training", "selected", "report", "export", "cache")}
    context = RunContext(state_dir=str(folder / "state"))
    evaluation = Evaluation(extractor="classifier", samples=1000)
    with open_stage("prepare_data", context) as stage:
        prepare_data.run(prepare_data.Request(data=recipe.data, output=places["dataset"]), stage)
    with open_stage("train_gan", context) as stage:
        asked = train_gan.Request(
            model=model_document(recipe), dataset=places["dataset"], output=places["training"],
            state_dir=folder / "train", seed=0,
        )  # fmt: skip
        train_gan.run(asked, stage)
    with open_stage("select_checkpoint", context) as stage:
        selection = select_checkpoint.run(
            select_checkpoint.Request(
                training=places["training"], dataset=places["dataset"], selection=Selection(samples=1000),
                evaluation=evaluation, output=places["selected"], cache_dir=places["cache"], seed=0,
            ), stage,
        )  # fmt: skip
    with open_stage("evaluate_gan", context) as stage:
        judged = evaluate_gan.run(
            evaluate_gan.Request(
                generator=places["selected"], dataset=places["dataset"], evaluation=evaluation,
                output=places["report"], cache_dir=places["cache"], seed=0,
            ), stage,
        )  # fmt: skip
    with open_stage("export_samples", context) as stage:
        export_samples.run(
            export_samples.Request(
                generator=places["selected"], report=places["report"], dataset=places["dataset"],
                export=Export(samples=12), output=places["export"], cache_dir=places["cache"], seed=3,
            ), stage,
        )  # fmt: skip
    return Run(name, places["dataset"], places["training"], places["report"], places["export"], selection, judged)


def test_selection_and_evaluation_name_what_was_drawn(finished: Run) -> None:
    table = ImageTable.open(finished.dataset)
    validation, test = table.metadata.count("validation"), table.metadata.count("test")
    rounds = {"cyclegan": 1, "attribute-transfer": 2, "attributes": 3}.get(finished.name)
    if finished.name == "pix2pix":
        assert finished.selection.protocol.samples == validation
        assert finished.evaluation.protocol.samples == test
        figures = ["pair-error", "PSNR-pairs"]
    elif rounds is None:
        assert finished.selection.metric == "FD-classifier"
        assert finished.selection.protocol.samples == 1000
        figures = [f"colour-error-{hints}" for hints in ("0-hints", "1-hint", "5-hints", "20-hints")]
    else:
        assert finished.selection.metric == "FD-within-domains-classifier"
        assert finished.selection.protocol.samples == rounds * validation
        assert finished.evaluation.protocol.samples == rounds * test
        figures = ["cycle-error", "FD-within-domains-classifier"]
        if finished.name == "attributes":
            figures += ["attribute-reached-attribute-classifier", "attributes-kept-attribute-classifier"]
        else:
            figures += ["domain-reached-domain-classifier", "label-kept-classifier", "agreement-classifier"]
    assert set(figures) <= set(finished.evaluation.headline)
    written = json.loads((finished.report / "metrics.json").read_text())
    rows = {row["generated"]["name"] for row in written["further_rows"]}
    assert set(figures) <= rows | {task["name"] for task in written["tasks"]}
    assert any("which is the reference too" in note for note in written["notes"])
    report = (finished.report / "report.md").read_text()
    assert "](pairs.png)" in report
    assert "](translations.png)" in report
    lines = report.splitlines()
    table = lines.index(next(line for line in lines if line.startswith("| metric |")))
    first = [line.split(" | ")[0].removeprefix("| ") for line in lines[table + 2 :]][: len(written["tasks"])]
    assert first == [task["title"] for task in written["tasks"]]  # what it is for goes first: a grey image looks real
    said = io.StringIO()
    print_results(Findings.read(finished.report), finished.report.parent, said)
    assert all(task["name"][:12] in said.getvalue() for task in written["tasks"])
    assert {task["name"] for task in written["tasks"]} <= set(finished.evaluation.headline)


def test_the_grids_of_the_training_show_what_each_image_was_made_from(finished: Run) -> None:
    grids = [Image.open(finished.training / "samples" / f"step-{step:06d}.png") for step in (3, 6)]
    scale = 64 // 16
    before, after = [], []
    for grid in grids:
        assert grid.size == ((8 * 18 - 2) * scale, (16 * 18 - 2) * scale)
        left, right = (grid.crop((x * scale, 0, (x + 16) * scale, 16 * scale)) for x in (0, 18))
        before.append(left.resize((16, 16), Image.Resampling.NEAREST))
        after.append(right.tobytes())
    assert before[0].tobytes() == before[1].tobytes()
    assert after[0] != after[1]
    if finished.name != "colorization":
        split = ImageTable.open(finished.dataset).split("train")
        given = split.images if split.partners is None else split.partners
        assert before[0].tobytes() in {image.numpy().tobytes() for image in given}


def test_the_export_shows_before_and_after_and_tables_what_there_is(finished: Run) -> None:
    shape = Image.open(finished.export / "translations.png").size
    columns = COLUMNS[finished.name]
    scale = 56 // 16
    assert shape == ((columns * 18 - 2) * scale, (10 * 18 - 2) * scale)
    assert not (finished.export / "interpolation.png").exists()
    table = pq.read_table(finished.export / "samples.parquet")
    expected = {"image", "source", "label"} | {"domain", "attributes"}.intersection(
        {"cyclegan": ["domain"], "attribute-transfer": ["domain"], "attributes": ["attributes"]}.get(finished.name, [])
    )
    assert set(table.column_names) == expected
    hub = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]
    assert set(hub) == expected
    generator = load_generator(finished.export)
    assert generator.examples is not None
    first = Image.open(io.BytesIO(table["source"].to_pylist()[0]["bytes"]))
    given = generator.examples.images if generator.examples.partners is None else generator.examples.partners
    assert torch.equal(torch.tensor(list(first.tobytes())).reshape(16, 16, 3), given[0].long())
    assert table["label"].to_pylist() == generator.examples.labels[:12].tolist()


def test_an_exported_folder_draws_without_the_data(finished: Run) -> None:
    generator = load_generator(finished.export)
    samples = generator.sample(5, seed=1)
    assert samples.images.shape == (5, 16, 16, 3)
    # Kernels that a processor chooses by the size of a batch round differently: by one of the 256 levels at most.
    others = generator.sample(5, seed=1, batch_size=2).images
    assert (samples.images.int() - others.int()).abs().max() <= 1
    assert samples.labels is not None


def test_a_picture_of_ones_own_is_translated(finished: Run, tmp_path: Path) -> None:
    mine, out = tmp_path / "mine", tmp_path / "grid.png"
    mine.mkdir()
    Image.new("RGB", (40, 30), (200, 40, 40)).save(mine / "one.png")
    Image.new("L", (16, 16), 90).save(mine / "other.jpg")
    # What a picture of one's own truly belongs to is not known.
    columns = COLUMNS[finished.name] - (finished.name == "pix2pix")
    for given, rows in ((mine / "one.png", 1), (mine, 2)):
        assert call(["sample", str(finished.export), "--input", str(given), "--out", str(out)]) == 0
        width, height = Image.open(out).size
        abreast = 1 if rows == 1 else max(1, 12 // columns)
        assert (width, height) == (columns * abreast * 18 - 2, -(-rows // abreast) * 18 - 2)
    assert call(["sample", str(finished.export), "-n", "4", "-o", str(out)]) == 0
    (mine / "broken.png").write_bytes(b"no image")
    with pytest.raises(RequestError, match=r"broken\.png: this is not an image"):
        sample(finished.export, 64, out, 0, None, given=mine)


def test_what_is_registered_answers_with_what_the_command_shows(finished: Run, tmp_path: Path) -> None:
    describe_generator(finished.export, tmp_path)
    described = json.loads((tmp_path / "inputs.json").read_text())
    names = [column["name"] for column in described["columns"]]
    served = RowServer(load_generator(finished.export))
    assert len(served.answer([dict(zip(names, row, strict=True)) for row in described["example"]])) == 2

    mine, out = tmp_path / "mine.png", tmp_path / "grid.png"
    Image.new("RGB", (40, 30), (200, 40, 40)).save(mine)
    assert call(["sample", str(finished.export), "--input", str(mine), "--out", str(out)]) == 0
    grid = Image.open(out)
    row = {"image": base64.b64encode(mine.read_bytes()).decode()}
    if finished.name in ("colorization", "pix2pix"):
        shown = {1: row}
    elif finished.name == "attributes":
        names = load_generator(finished.export).info.attribute_names
        shown = {column: row | {"attributes": name} for column, name in enumerate(names, start=1)}
    else:
        domains = load_generator(finished.export).info.domain_names
        shown = {column: row | {"domain": name} for column, name in enumerate(domains, start=1)}
    for (column, _), answer in zip(shown.items(), served.answer(list(shown.values())), strict=True):
        answered = Image.open(io.BytesIO(base64.b64decode(str(answer["image"]))))
        assert list(answered.getdata()) == list(grid.crop((column * 18, 0, column * 18 + 16, 16)).getdata())


def test_what_was_registered_before_takes_the_generators_own_inputs(finished: Run) -> None:
    generator, served = load_generator(finished.export), _load_pyfunc(str(finished.export))
    inputs = generator.sample(7, seed=0).inputs
    for count in (1, 3, 7):
        part = {name: tensor[:count] for name, tensor in inputs.items()}
        drawn = served.predict({name: tensor.numpy() for name, tensor in part.items()})
        assert len(drawn) == count
        torch.testing.assert_close(torch.from_numpy(drawn), generator.module(**part), rtol=1e-3, atol=1e-4)
    with pytest.raises(ValueError, match="missing: the inputs are"):
        served.predict({})


def test_a_folder_without_examples_says_what_is_missing(finished: Run, tmp_path: Path) -> None:
    for file in ("generator.safetensors", "generator.json", "recipe.yaml"):
        (tmp_path / file).write_bytes((finished.export / file).read_bytes())
    with pytest.raises(RequestError, match="give it examples"):
        load_generator(tmp_path).sample(2, seed=0)
    with pytest.raises(RequestError, match="--input"):
        sample(tmp_path, 4, tmp_path / "grid.png", 0, None)

"""The training stage: what it hands on, where its state lies, how it resumes and refuses."""

import json
from pathlib import Path

import pytest
import torch

from components.artifacts import Training
from components.lease import Lease
from components.stage import stage
from components.stage.stage import Interrupted, RunContext, Stage, open_stage
from components.train_gan import step
from gan_models.errors import RequestError
from gan_models.recipes import load_recipe, model_document, recipe_names
from gan_models.sampling.generator import load_generator

TINY = [
    "training.steps=6", "training.tick=3", "training.keep=2", "training.threads=1", "training.batch_size=16",
    "networks.generator.width=4", "networks.discriminator.width=4",
]  # fmt: skip


def request(dataset: Path, folder: Path, *overrides: str, recipe: str = "cgan-projection") -> step.Request:
    model = model_document(load_recipe(recipe, [*TINY, *overrides]))
    return step.Request(model=model, dataset=dataset, output=folder / "output", state_dir=folder, seed=0)


def run(wanted: step.Request) -> Training:
    with open_stage("train_gan", RunContext(state_dir=str(wanted.state_dir))) as stage:
        return step.run(wanted, stage)


def test_hands_on_generators_grids_and_the_history(dataset: Path, tmp_path: Path) -> None:
    result = run(request(dataset, tmp_path))
    output = tmp_path / "output"
    assert [path.name for path in sorted((output / "generators").iterdir())] == ["step-000003", "step-000006"]
    assert (output / "samples" / "step-000006.png").is_file()
    assert (output / "history.csv").read_text().startswith("step,")
    written = json.loads((output / "training.json").read_text())
    assert written["steps"] == result.steps == 6
    assert {"environment.torch", "environment.threads", "environment.device"} <= set(written["environment"])
    generator = load_generator(output / "generators" / "step-000006")
    assert generator.recipe.data.source == "digits"
    assert generator.sample(4, seed=0).images.shape == (4, 8, 8, 1)


def test_an_interrupted_stage_goes_on_and_ends_with_the_same_weights(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(request(dataset, tmp_path / "whole"))
    answers = iter([False, False, False, True])
    with monkeypatch.context() as patch:
        patch.setattr(Stage, "stop_requested", property(lambda _: next(answers, True)))
        with pytest.raises(Interrupted, match="interrupted at step"):
            run(request(dataset, tmp_path / "parts"))
    assert not (tmp_path / "parts" / "output").exists()
    run(request(dataset, tmp_path / "parts"))
    expected, found = (
        load_generator(tmp_path / part / "output" / "generators" / "step-000006").module.state_dict()
        for part in ("whole", "parts")
    )
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_a_resumed_training_tells_a_new_journal_what_came_before(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([False] * 4 + [True])
    with monkeypatch.context() as patch:
        patch.setattr(Stage, "stop_requested", property(lambda _: next(answers, True)))
        with pytest.raises(Interrupted, match=r"at step [45]"):
            run(request(dataset, tmp_path))
    context = RunContext(state_dir=str(tmp_path), tracking_uri="http://127.0.0.1:9", relay="external")
    with open_stage("train_gan", context) as stage:
        step.run(request(dataset, tmp_path), stage)
    lines = (context.tracking_folder / "train_gan.jsonl").read_text().splitlines()
    entries = [json.loads(line) for line in lines]
    assert [entry["step"] for entry in entries if entry["kind"] == "metrics"] == [3, 6]
    assert [entry["step"] for entry in entries if entry["kind"] == "image"] == [3, 6]


def test_more_steps_go_on_from_the_end_and_equal_a_training_of_so_many(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    longer = ["training.steps=11", "training.keep=1"]
    run(request(dataset, tmp_path / "whole", *longer))
    run(request(dataset, tmp_path / "parts", "training.keep=1"))
    capsys.readouterr()
    result = run(request(dataset, tmp_path / "parts", *longer))
    said = capsys.readouterr().err
    assert "going on with the training of 6 steps that is here, from step 6" in said
    assert "going on from the checkpoint of step 6" in said
    assert result.steps == 11
    output = tmp_path / "parts" / "output"
    last = "output/generators/step-000011"
    one, two = (load_generator(tmp_path / part / last).module.state_dict() for part in ("whole", "parts"))
    assert all(torch.equal(one[name], two[name]) for name in one)
    history = (output / "history.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in history[1:]] == ["3.0", "6.0", "9.0", "11.0"]
    kept = [load_generator(output / f"generators/step-{step:06d}").recipe for step in (6, 11)]
    assert kept[0] == kept[1]
    run(request(dataset, tmp_path / "parts", "training.keep=1"))  # the shorter one is as it was
    assert "from step" not in capsys.readouterr().err


def test_more_steps_of_a_stopped_training_go_on_from_where_it_was(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = iter([False, False, False, True])
    with monkeypatch.context() as patch:
        patch.setattr(Stage, "stop_requested", property(lambda _: next(answers, True)))
        with pytest.raises(Interrupted):
            run(request(dataset, tmp_path))
    run(request(dataset, tmp_path, "training.steps=8"))
    assert "going on with the training of 6 steps that is here, from step 4" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            "optimizers.decay_from=0.5",
            "the training of 6 steps that is here cannot be gone on with: by optimizers.decay",
        ),
        ("optimizers.generator.lr=1e-5", ""),
    ],
)
def test_more_steps_that_would_have_been_others_begin_anew_and_say_why(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: str, sentence: str
) -> None:
    run(request(dataset, tmp_path, *(["optimizers.decay_from=0.5"] if sentence else [])))
    capsys.readouterr()
    run(request(dataset, tmp_path, change, "training.steps=8"))
    said = capsys.readouterr().err
    assert sentence in said
    assert "going on" not in said


def test_what_paces_itself_by_the_number_of_steps_is_known() -> None:
    flat = "optimizers.decay_from=1"
    paced = {name for name in recipe_names() if load_recipe(name).paced_by}
    systems = {"attribute-transfer", "colorization", "cyclegan", "pggan", "pix2pix", "stackgan", "vanilla", "wgan-gp"}
    assert paced == systems
    stages = {name: by for name in paced if (by := load_recipe(name, [flat]).paced_by)}
    assert stages == {
        "pggan": "game.growing", "stackgan": "game.first_stage", "colorization": "game.classify_until=0.1"
    }  # fmt: skip


def test_other_code_begins_anew(dataset: Path, tmp_path: Path) -> None:
    wanted = request(dataset, tmp_path)
    for version in ("1", "1", "2"):
        run(wanted.model_copy(update={"code_version": version}))
    assert len(list((tmp_path / "training").iterdir())) == 2


def test_another_recipe_in_the_same_work_directory_trains_anew(dataset: Path, tmp_path: Path) -> None:
    run(request(dataset, tmp_path))
    result = run(request(dataset, tmp_path, recipe="dcgan"))
    assert result.recipe == "dcgan"
    assert len(list((tmp_path / "training").iterdir())) == 2


def test_a_checkpoint_put_there_from_another_recipe_is_refused(dataset: Path, tmp_path: Path) -> None:
    run(request(dataset, tmp_path))
    (own,) = (tmp_path / "training").iterdir()
    other = request(dataset, tmp_path, "optimizers.generator.lr=1e-5")
    fingerprint = json.loads((tmp_path / "output" / "training.json").read_text())["data_fingerprint"]
    recipe = load_recipe("cgan-projection", [*TINY, "optimizers.generator.lr=1e-5"])
    folder = step.state_folder(tmp_path, recipe, fingerprint, seed=0)
    own.rename(folder)
    with pytest.raises(RequestError, match="belongs to another training"):
        run(other)


def test_a_size_that_the_family_cannot_make_is_refused_before_training(dataset_9: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"data.size=9: .*nearest sizes it can make are 8 and 10"):
        run(request(dataset_9, tmp_path))


def test_two_processes_never_train_in_one_folder(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "PATIENCE_SECONDS", 0.1)
    monkeypatch.setattr(step, "PATIENCE_SECONDS", 0.1)
    run(request(dataset, tmp_path))
    (folder,) = (tmp_path / "training").iterdir()
    other = Lease(folder / step.LEASE_FOLDER, "the training of another one")
    assert other.take()
    with pytest.raises(RequestError, match=r"another process is training in .*: wait for it, or use another work"):
        run(request(dataset, tmp_path))
    other.check()
    other.release()

"""From a request to a plan and a place: defaults, precedence, identity."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gan_models.data.sources import parse_source
from gan_models.errors import RequestError, RunError
from gan_models.games.adversarial.spec import Adversarial
from pipeline.request.plan import (
    UNSEEN,
    Elsewhere,
    Plan,
    default_name,
    make_place,
    make_plan,
    read_parameters,
    slug,
    tracking_address,
)
from pipeline.request.request import Request
from pipeline.workdir import RunRecord, WorkDirectory


def planned(recipe: str | None = None, data: str | None = None, **more: Any) -> Plan:
    return make_plan(Request(recipe=recipe, data=data, **more))


def test_the_default_is_labelled_digits_with_projection() -> None:
    plan = planned()
    assert (plan.recipe.name, plan.recipe.data.source, plan.seed) == ("cgan-projection", "mnist-5k", 0)


def test_data_without_labels_gets_the_unconditional_recipe(images: Path) -> None:
    assert planned(data=f"folder:{images}").recipe.name == "dcgan"


def test_folders_of_classes_get_the_conditional_recipe(images: Path) -> None:
    for name in ("cat", "dog"):
        (images / name).mkdir()
    for index, file in enumerate(sorted(images.glob("*.png"))):
        file.rename(images / ("cat", "dog")[index % 2] / file.name)
    assert planned(data=f"folder:{images}").recipe.name == "cgan-projection"


def test_a_recipe_that_names_its_own_data_is_given_it_unless_other_data_is_asked_for() -> None:
    assert planned("cyclegan").recipe.data.source == "toy:inverted-digits"
    assert planned("attribute-transfer", data="toy:shapes").recipe.data.source == "toy:shapes"
    own = planned("attribute-transfer", overrides=["data.source=toy:shapes"])
    assert own.recipe.data.source == "toy:shapes"


def test_recipes_say_how_their_data_is_read_where_nobody_does(images: Path) -> None:
    """Classes serve as domains; a recipe that needs a label of every image leaves out those without."""
    for name in ("cat", "dog", "fox"):
        (images / name).mkdir()
    places = sorted(images.glob("*.png"))
    for index, file in enumerate(places):
        file.rename(images / ("cat", "dog")[index % 2] / file.name)
    data = planned("cyclegan", data=f"folder:{images}").recipe.data
    assert (data.domain, data.pairs, data.unlabelled) == ("classes", "none", None)
    with pytest.raises(RequestError, match="'cyclegan' needs domains"):
        planned("cyclegan", data=f"folder:{images}", overrides=["data.domain=none"])
    assert planned("cgan-projection", data=f"folder:{images}").recipe.data.unlabelled == "drop"
    assert planned("sgan", data=f"folder:{images}").recipe.data.unlabelled is None
    assert planned("pix2pix").recipe.data.pairs == "by-name"
    (images / "fox/1.png").write_bytes((images / "cat" / places[0].name).read_bytes())
    with pytest.raises(RequestError, match=r"'cyclegan' translates between 2 domains, and folder:.* has 3 \(cat, dog"):
        planned("cyclegan", data=f"folder:{images}")


def test_labels_asked_for_and_absent(images: Path) -> None:
    with pytest.raises(RequestError, match=r"needs labels and folder:.* has none: use --recipe dcgan"):
        planned(recipe="cgan-projection", data=f"folder:{images}")


def test_what_images_carry(images: Path, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    picture = next(images.glob("*.png")).read_bytes()
    pq.write_table(
        pa.table({"image": [picture] * 2, "caption": ["a", "b"], "domain": ["x", "y"]}), tmp_path / "a.parquet"
    )
    assert parse_source("mnist-5k").carried() == parse_source("toy:ring").carried() == {"labels"}
    assert parse_source("torchvision:MNIST").carried() == {"labels"}
    assert parse_source("torchvision:CelebA").carried() == set()
    assert parse_source("toy:shapes").carried() == {"labels", "domains", "captions", "attributes"}
    assert parse_source("toy:inverted-digits").carried() == {"labels", "domains"}
    assert parse_source(f"parquet:{tmp_path}/a.parquet").carried() == {"domains", "captions"}
    assert parse_source(f"folder:{images}").carried() == set()


@pytest.mark.parametrize(
    ("what", "remedy"),
    [("attributes", "column 'attributes', .*, or one of toy:shapes"),
     ("captions", "column 'caption', .*, or one of toy:stacked-mnist, toy:shapes, toy:coloured-digits")],
)  # fmt: skip
def test_attributes_and_captions_asked_for_and_absent(monkeypatch: pytest.MonkeyPatch, what: str, remedy: str) -> None:
    monkeypatch.setattr(Adversarial, "needs", frozenset({what}))
    with pytest.raises(RequestError) as caught:
        planned("dcgan")
    assert f"recipe 'dcgan' needs {what} and mnist-5k has none" in str(caught.value)
    assert re.search(remedy, str(caught.value))
    assert planned("dcgan", "toy:shapes").recipe.data.source == "toy:shapes"


def test_an_override_reaches_the_parameters_of_the_pipeline() -> None:
    parameters = planned(
        "dcgan", "digits", overrides=["training.steps=5", "evaluation.samples=100"], seed=3
    ).parameters()
    assert json.loads(str(parameters["model"]))["training"]["steps"] == 5
    assert json.loads(str(parameters["evaluation"]))["samples"] == 100
    assert json.loads(str(parameters["data"]))["source"] == "digits"
    assert parameters["seed"] == 3


def test_a_source_may_hold_characters_that_mean_something_in_yaml(tmp_path: Path, images: Path) -> None:
    odd = tmp_path / "my: pictures #1"
    images.rename(odd)
    assert planned(data=f"folder:{odd}").recipe.data.source == f"folder:{odd}"


def test_a_relative_source_is_made_absolute(tmp_path: Path, images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert planned(data="folder:images") == planned(data=f"folder:{images}")


def test_planning_imports_nothing_that_takes_seconds() -> None:
    code = """
import sys
from pipeline.request.plan import make_plan
from pipeline.request.request import Request
from pipeline.workdir import RunRecord, WorkDirectory
for recipe in ("dcgan", "sngan", "cyclegan", "stackgan"):
    make_plan(Request(command="retrain", recipe=recipe))
print([name for name in ("torch", "kfp", "mlflow") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_two_sources_contradict_each_other() -> None:
    with pytest.raises(RequestError, match="give one of them"):
        planned(data="digits", overrides=["data.source=mnist-5k"])


def test_two_recipes_of_one_source_are_two_plans_and_one_name_stays_one() -> None:
    first, again, other = planned("dcgan"), planned("dcgan"), planned("dcgan", seed=1)
    assert first.digest() == again.digest() != other.digest()
    assert default_name(first) == default_name(again) != default_name(other)
    assert default_name(first).startswith("dcgan-mnist-5k-0-")


def test_changed_images_are_another_plan_under_the_same_name(images: Path) -> None:
    before = planned(data=f"folder:{images}")
    os.utime(images / "0.png", (1, 1))
    after = planned(data=f"folder:{images}")
    assert before.digest() != after.digest()
    assert default_name(before) == default_name(after)


def test_images_whose_login_only_the_cluster_has_are_left_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    data = "zip:s3://bucket/faces.zip"
    plan = make_plan(Request(data=data, recipe="dcgan"), Elsewhere())
    assert (plan.recipe.data.source, plan.source_version) == (data, UNSEEN)
    with pytest.raises(RequestError, match=r"faces\.zip has labels cannot be seen from here: name a --recipe"):
        make_plan(Request(data=data), Elsewhere())
    with pytest.raises(RunError, match="is the login in the environment right"):
        make_plan(Request(data=data, recipe="dcgan"))


def test_parameters_bring_the_plan_back() -> None:
    plan = planned("vanilla", "digits", overrides=["training.steps=7"], seed=5)
    meant = plan.recipe.model_copy(update={"made_for": None})  # decides nothing: it stays with the preset of the name
    assert read_parameters(plan.parameters(), "here") == (meant, plan.seed)


@pytest.mark.parametrize("parameters", [{}, {"data": "x"}, {"data": "{}", "model": "[]"}])
def test_other_parameters_are_no_plan(parameters: dict[str, str]) -> None:
    with pytest.raises(RequestError, match="not a training pipeline"):
        read_parameters(parameters, "here")


@pytest.mark.parametrize("seed", [-1, 2**31])
def test_seeds_that_not_everybody_can_carry(seed: int) -> None:
    with pytest.raises(RequestError, match=f"--seed {seed}"):
        planned(seed=seed)


def test_inception_weights_that_are_not_there() -> None:
    with pytest.raises(RequestError, match="no file /nowhere/weights"):
        planned("dcgan", overrides=["evaluation.inception_weights=/nowhere/weights"])


def test_a_word_that_kfp_local_would_replace(tmp_path: Path, images: Path) -> None:
    odd = tmp_path / "python3-pictures"
    images.rename(odd)
    with pytest.raises(RequestError, match="replaces the word python3"):
        planned(data=f"folder:{odd}")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., object]:
    monkeypatch.chdir(tmp_path)
    plan = planned("dcgan")
    return lambda environment=None, **given: make_place(plan, Request(**given), environment or {})


def test_a_run_lies_in_runs_under_its_name_and_is_tracked_beside_it(place: Callable, tmp_path: Path) -> None:
    default = place()
    assert default.workdir == tmp_path / "runs" / default.name
    assert default.tracking_uri == f"sqlite:///{tmp_path}/runs/mlflow.db"
    assert place(name="My run!").workdir == tmp_path / "runs" / "my-run"
    assert place(workdir=Path("here/it")).name == "it"


def test_the_same_request_finds_its_run_in_another_place(place: Callable, tmp_path: Path) -> None:
    """As after `make demo`, which names a work directory of its own."""
    plan, default = planned("dcgan"), place()
    other = planned("dcgan", overrides=("training.steps=7",))
    for name, its in {"demo": plan, "other": other}.items():
        (tmp_path / "runs" / name).mkdir(parents=True)
        about = {"recipe": "dcgan", "source": "mnist-5k", "seed": 0, "experiment": "gan-pipeline", "code_version": ""}
        record = RunRecord(name=name, digest=its.digest(), **about)
        WorkDirectory(tmp_path / "runs" / name).write_record(record)
    assert (place().name, place().workdir) == ("demo", tmp_path / "runs" / "demo")
    assert make_place(other, Request(), {}).workdir == tmp_path / "runs" / "other"
    assert place(name="mine").workdir == tmp_path / "runs" / "mine"
    assert place(command="retrain").workdir == default.workdir
    assert make_place(planned("vanilla"), Request(), {}).workdir.name.startswith("vanilla-")
    default.workdir.mkdir()
    assert place().workdir == default.workdir


def test_tracking_flag_before_environment_before_default(place: Callable) -> None:
    environment = {"MLFLOW_TRACKING_URI": "http://two:5000"}
    assert place(tracking_uri="http://one:5000", environment=environment).tracking_uri == "http://one:5000"
    assert place(environment=environment).tracking_uri == "http://two:5000"
    assert place().tracking_uri.startswith("sqlite:////")


def test_a_relative_database_means_the_one_of_this_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert tracking_address("sqlite:///my.db", tmp_path, {}) == f"sqlite:///{tmp_path}/my.db"
    assert tracking_address("sqlite:////abs/my.db", tmp_path, {}) == "sqlite:////abs/my.db"


@pytest.mark.parametrize(
    ("source", "short"),
    [
        ("mnist-5k", "mnist-5k"),
        ("torchvision:FashionMNIST", "fashionmnist"),
        ("folder:/data/My Cats/", "my-cats"),
        ("parquet:/data/cifar10/train.parquet", "cifar10"),
        ("npz:/data/a.b.npz", "a.b"),
        ("folder:/", "folder"),
    ],
)
def test_short_names_of_sources(source: str, short: str) -> None:
    assert slug(parse_source(source).short) == short


def test_slugs_are_safe_names() -> None:
    assert slug("../Ünï code/..") == "n-code"

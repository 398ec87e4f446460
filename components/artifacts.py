"""What passes between stages, and from them to the command line: names of files, and each document as a model.

A stage's output is a folder. A `Document` in it is written and read here and nowhere else, so that who reads and who
writes cannot disagree. Formats of the library (the image table, generator folders) are the library's: `gan_models`.
"""

import csv
import math
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, Self

from pydantic import BaseModel

from components.context import RunContext
from components.tracking.champions import GENERATOR_FOLDER, Lineage
from gan_models.atomic import write_json
from gan_models.errors import RunError
from gan_models.files import GRID_FILE as GRID_FILE
from gan_models.metrics.protocol import Protocol

# select_checkpoint, beside the chosen generator
SELECTION_TABLE_FILE = "selection.csv"
SELECTION_CURVE_FILE = "selection.png"
# evaluate_gan
REPORT_FILE = "report.md"
REPORT_PAGE_FILE = "report.html"
# rank_trials, beside leaderboard.json
LEADERBOARD_FILE = "leaderboard.md"
LEADERBOARD_PAGE_FILE = "leaderboard.html"
# export_samples, beside the generator
SAMPLES_FILE = "samples.parquet"
IMAGES_FOLDER = "images"


class Document(BaseModel):
    """A JSON file of a fixed name in a folder."""

    FILE: ClassVar[str]
    WHAT: ClassVar[str]  # what a sentence calls it

    def write(self, folder: Path) -> None:
        """Into the folder, whole or not at all."""
        write_json(folder / self.FILE, self.model_dump(mode="json"))

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Of the folder that a stage wrote; RunError where it is not there, or not readable."""
        file = folder / cls.FILE
        try:
            return cls.model_validate_json(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise RunError(f"{cls.WHAT} cannot be read from {file}: {error}") from None


class DataSummary(Document):
    """Everything about a prepared data set that is not a pixel."""

    FILE = "summary.json"
    WHAT = "the summary of the data"

    source: str
    fingerprint: str
    images: int
    height: int
    width: int
    channels: int
    depth: int = 8  # bits of a value
    ranges: list[str] = []  # which values of the files became black and white, where that is not plain
    splits: dict[str, int]
    counts: dict[str, dict[str, int]]  # by split and class
    options: dict[str, Any]
    classes: list[str]
    domains: list[str]
    words: int
    attributes: list[str] = []
    pairs: bool = False
    embeddings: tuple[int, int] = (0, 0)  # how many each image carries in place of texts, and their width
    bad: int
    ignored: int
    notes: list[str]
    doubts: list[str]
    colour_made_grey: int
    duplicates: dict[str, int]


class Training(Document):
    """How a training ended; select_checkpoint hands it on beside the chosen generator."""

    FILE = "training.json"
    WHAT = "the account of the training"

    recipe: str
    recipe_digest: str
    data_fingerprint: str
    seed: int
    steps: int
    seconds: float
    collapsed: bool
    unhealthy_steps: tuple[int, ...]
    generators: int
    last_metrics: dict[str, float]
    environment: dict[str, str]


class Curves(Document):
    """The figures of a training by step, for who judges what came of it: beside the chosen generator."""

    FILE = "curves.json"
    WHAT = "the curves of the training"
    MOST: ClassVar[int] = 400  # steps, so that the file stays small however long the training was

    steps: list[int]
    series: dict[str, list[float | None]]
    """As many values as steps by name, such as `D/loss`; None where there is none, or none that is a number."""

    @classmethod
    def of_history(cls, file: Path) -> Self:
        """Of a training's history, thinned evenly, the last step included; empty where it is not there."""
        try:
            with file.open(newline="", encoding="utf-8") as opened:
                rows = list(csv.DictReader(opened))
            stride = max(1, math.ceil(len(rows) / cls.MOST))
            rows = rows[::-1][::stride][::-1]
            names = [name for name in (rows[0] if rows else ()) if name != "step"]
            return cls(
                steps=[int(float(row["step"])) for row in rows],
                series={name: [_finite(row[name]) for row in rows] for name in names},
            )
        except (OSError, ValueError, KeyError, TypeError):
            return cls(steps=[], series={})


def _finite(text: str | None) -> float | None:
    value = float(text) if text else math.nan
    return value if math.isfinite(value) else None


class ScoredCheckpoint(NamedTuple):
    """A line of the selection table."""

    step: int
    score: float  # NaN where there is none
    collapsed: bool
    diversity: float

    @property
    def eligible(self) -> bool:
        return not self.collapsed and math.isfinite(self.score)


def write_selection_table(folder: Path, checkpoints: Iterable[ScoredCheckpoint]) -> None:
    """In the order given."""
    with (folder / SELECTION_TABLE_FILE).open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(ScoredCheckpoint._fields)
        for one in checkpoints:
            rows.writerow(one._replace(collapsed=str(one.collapsed).lower()))  # type: ignore[arg-type]


def read_selection_table(folder: Path) -> list[ScoredCheckpoint]:
    """By step; empty where a generator comes without one, or with one that cannot be read."""
    try:
        with (folder / SELECTION_TABLE_FILE).open(newline="", encoding="utf-8") as file:
            rows = [
                ScoredCheckpoint(
                    int(row["step"]), float(row["score"]), row["collapsed"] == "true", float(row["diversity"])
                )
                for row in csv.DictReader(file)
            ]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return sorted(rows)


class Choice(Document):
    """Which of a training's generators was chosen, and by what."""

    FILE = "selection.json"
    WHAT = "the choice of the checkpoint"

    step: int
    score: float
    metric: str
    """The key of the score: Frechet distance, or what else a metric chooses by."""
    protocol: Protocol  # how the scores were made, all of them alike
    candidates: int
    collapsed: int
    seconds: float | None = None  # that scoring them all took


class Figures(Document):
    """What is read by others of an evaluation; `components.evaluate_gan.findings` has the rest."""

    FILE = "metrics.json"
    WHAT = "the figures of the evaluation"

    metrics: dict[str, float]  # every figure of the generator by its key
    headline: list[str]  # the keys in `metrics` that go first
    protocol: Protocol  # how all of them were made

    @property
    def first(self) -> dict[str, float]:
        """Those that go first."""
        return {name: self.metrics[name] for name in self.headline}


class Exported(Document):
    """What was exported."""

    FILE = "export.json"
    WHAT = "the account of the export"

    samples: int
    registered_name: str
    step: int


class Judged(BaseModel):
    """A version that a comparison has kept out, or that was taken back."""

    version: str
    lineage: Lineage
    decision: str
    against: str


class Champion(Document):
    """The registry's champion at the start of a retraining; its generator lies beside it."""

    FILE = "champion.json"
    WHAT = "the champion"

    model: str
    version: str = ""  # empty: there is no champion yet
    lineage: Lineage | None = None
    judged: list[Judged] = []

    @staticmethod
    def generator(folder: Path) -> Path | None:
        """The generator folder of the champion in `folder`; None where there is no champion."""
        inside = folder / GENERATOR_FOLDER
        return inside if inside.is_dir() else None


class Comparison(Document):
    """The figures of challenger and champion, and what follows from them."""

    FILE = "comparison.json"
    WHAT = "the comparison with the champion"

    promote: bool
    reason: str
    champion: str  # its version; empty where there is none
    metric: str = ""
    protocol: Protocol | None = None  # how both were measured; None where nothing was
    figures: dict[str, float] = {}
    """`challenger`, `champion`, `difference` (negative: the challenger is nearer to the real images), `low` and `high`
    (interval of the difference), `confidence` (of that), `resamples`; where there are images enough `challenger_recall`
    and `champion_recall`; empty where nothing was measured."""


class RankedTrial(BaseModel):
    """A line of the leaderboard."""

    place: int | None  # from 1, of trials that finished and are compared; None for the others
    key: str  # `components.context.Trial.key`: of its logs, and its run's tag in MLflow
    name: str
    settings: dict[str, str]
    seed: int
    status: Literal["finished", "collapsed", "failed"]
    step: int | None = None  # of the checkpoint that was chosen
    score: float | None = None  # of that checkpoint, by which it was chosen and the trial has its place
    figure: float | None = None  # the deciding one of its evaluation
    figures: dict[str, float] = {}  # those that go first in its report
    sentence: str = ""  # why it has no place


class Leaderboard(Document):
    """The trials of a sweep, the best first, then those that collapsed, then those that failed."""

    FILE = "leaderboard.json"
    WHAT = "the leaderboard"

    ranked_by: str  # the name of the score, lower is better; empty where no trial has one
    split: str  # that the score is of
    metric: str  # the name of the deciding figure, which the score is not chosen by: lower is better, too
    varied: list[str]  # the settings that differ, by their full keys
    trials: list[RankedTrial]

    @property
    def best(self) -> RankedTrial | None:
        """The first, unless no trial finished."""
        return next((trial for trial in self.trials if trial.place == 1), None)


class Outcome(Document):
    """What a retraining decided, and why: in the work directory, for its last stages and the command line."""

    FILE = "retraining.json"
    WHAT = "the outcome of the retraining"

    run_id: str
    decision: Literal["unchanged", "promoted", "kept"]
    sentence: str
    model: str
    version: str = ""  # the challenger; empty where none was trained
    champion: str = ""  # the version that holds the alias now; empty: none
    figures: dict[str, float] = {}
    artifacts: dict[str, Path] = {}  # folders of the stages' outputs, by the names of the training pipeline's outputs


def read_outcome(context: RunContext) -> Outcome | None:
    """The outcome of this very run; None where it has none (yet)."""
    try:
        outcome = Outcome.read(Path(context.state_dir))
    except RunError:
        return None
    return outcome if outcome.run_id == context.run_id else None


def clear_outcome(context: RunContext) -> None:
    """Before a run, so that what an earlier attempt decided is not taken for what this one does."""
    (Path(context.state_dir) / Outcome.FILE).unlink(missing_ok=True)


class Told(Document):
    """That a webhook knows how a run ended, in the work directory: whoever started the run need not tell it again."""

    FILE = "told.json"
    WHAT = "what the webhook was told"

    occasion: str  # what the run was started for; empty: nothing that anybody keeps count of

    def keep(self, workdir: Path) -> None:
        """Not where the disk is full or read-only: then it is told twice."""
        with suppress(OSError):
            self.write(workdir)

    @classmethod
    def has_been(cls, workdir: Path, occasion: str) -> bool:
        """Whether the run of that occasion has told it."""
        try:
            return cls.read(workdir).occasion == occasion
        except RunError:
            return False


class StageFailure(Document):
    """What a stage that failed said, below the work directory: for who tells how the run ended, in a pod of its own."""

    FILE = "failure.json"
    WHAT = "the failure"

    run_id: str
    stage: str
    sentence: str

    @staticmethod
    def folder(context: RunContext, stage: str) -> Path:
        """Of one stage; trials of a sweep fail side by side."""
        trial = f"trial-{context.trial.key}-" if context.trial and stage else ""
        return Path(context.state_dir) / "failures" / f"{trial}{stage}"

    @classmethod
    def clear(cls, context: RunContext, stage: str) -> None:
        """Before an attempt. A folder that cannot be reached has none; the stage itself will say why."""
        folder = cls.folder(context, stage)
        shutil.rmtree(folder, ignore_errors=True)  # with what an attempt that was killed had half written
        with suppress(OSError):
            folder.parent.rmdir()  # where no other stage has one

    def keep(self, context: RunContext) -> None:
        """Where `of` finds it; not where the disk is full or read-only: that may be the failure."""
        with suppress(OSError):
            folder = self.folder(context, self.stage)
            folder.mkdir(parents=True, exist_ok=True)
            self.write(folder)

    @classmethod
    def of(cls, context: RunContext) -> Self | None:
        """That of this very run; None where no stage said anything."""
        for path in sorted(cls.folder(context, "").glob(f"*/{cls.FILE}")):
            with suppress(RunError):
                if (failure := cls.read(path.parent)).run_id == context.run_id:
                    return failure
        return None

"""The local engine with stages that do nothing but succeed, refuse, fail, crash, hang or die."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from kfp import dsl
from kfp.compiler import Compiler
from kfp.dsl import Dataset, Input, Metrics, Model, Output

from components.context import RunContext
from components.stage.failures import Interrupted
from components.stage.progress import EventReader
from gan_models.errors import RequestError, RunError
from pipeline.engines.local.engine import LOCAL, stop_leftovers
from pipeline.engines.protocol import Job, Outcome
from pipeline.workdir import WorkDirectory, open_workdir


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def prepare_data(how: str, dataset: Output[Dataset], figures: Output[Metrics]):
    from pathlib import Path

    from components.stage.stage import run_component

    Path(dataset.path).mkdir(parents=True)
    run_component("prepare_data", lambda stage: stage.note("prepared"))
    figures.log_metric("images", 3)
    Path(figures.path).write_text("{}")  # an artifact without a file is one that the cache takes for lost


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def train_gan(how: str, dataset: Input[Dataset], training: Output[Model]):
    import os
    import signal
    import time
    from pathlib import Path

    from components.stage.stage import Interrupted, Stage, run_component
    from gan_models.errors import RequestError, RunError

    def train(stage: Stage) -> None:
        Path(training.path).mkdir(parents=True)
        if how == "refuse":
            raise RequestError("data.size=9 cannot be made")
        if how == "fail":
            raise RunError("the losses are not finite")
        if how == "crash":
            raise ZeroDivisionError("division by zero")
        if how == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        while how == "wait":
            if stage.stop_requested:
                raise Interrupted("interrupted at step 7; the same command continues from there")
            stage.note("waiting")
            time.sleep(0.02)
        Path(training.path, "where").write_text(os.environ["TMPDIR"])

    run_component("train_gan", train)


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    @dsl.pipeline(name="two-stages")
    def two_stages(how: str = "well"):
        prepared = prepare_data(how="well")
        train_gan(how=how, dataset=prepared.outputs["dataset"])

    file = tmp_path_factory.mktemp("pipeline") / "two.yaml"
    Compiler().compile(two_stages, str(file))
    return file


@pytest.fixture
def workdir(tmp_path: Path) -> Iterator[WorkDirectory]:
    with open_workdir(tmp_path / "run") as opened:
        yield opened


@pytest.fixture
def run(workdir: WorkDirectory, pipeline: Path) -> Callable[[str], Outcome]:
    def run(how: str) -> Outcome:
        workdir.events.unlink(missing_ok=True)
        context = RunContext(state_dir=str(workdir.root), relay="external")
        return LOCAL.run(Job({"how": how}, workdir, context, pipeline))

    return run


def waiting(workdir: WorkDirectory) -> bool:
    """Whether the training stage is in its loop, where it asks whether to stop."""
    return any(
        event["kind"] == "note" and event["stage"] == "train_gan" for event in EventReader(workdir.events).read()
    )


def begun(workdir: WorkDirectory) -> set[str]:
    """Stages of the last run that were not taken from the cache."""
    return {event["stage"] for event in EventReader(workdir.events).read() if event["kind"] == "start"}


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "waited for a minute"
        time.sleep(0.02)


def stages_of(workdir: WorkDirectory) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if any(str(workdir.artifacts) in part for part in process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return found


def test_what_has_not_changed_is_not_done_again(run: Callable[[str], Outcome], workdir: WorkDirectory) -> None:
    assert run("well").status == "finished"
    assert begun(workdir) == {"prepare_data", "train_gan"}
    assert run("well").status == "finished"
    assert begun(workdir) == set()
    assert run("otherwise").status == "finished"
    assert begun(workdir) == {"train_gan"}
    assert "prepared" in workdir.events.with_name("prepare_data.log").read_text()


def test_nothing_is_left_in_the_temporary_folder(run: Callable[[str], Outcome], workdir: WorkDirectory) -> None:
    run("well")
    (note,) = workdir.artifacts.glob("*/train-gan/training/where")
    assert not Path(note.read_text()).exists()


@pytest.mark.parametrize(
    ("how", "kind", "sentence"),
    [
        ("refuse", RequestError, "train_gan: data.size=9 cannot be made"),
        ("fail", RunError, "train_gan: the losses are not finite"),
        ("crash", RunError, "train_gan: unexpected ZeroDivisionError: division by zero; the full traceback is in"),
        ("die", RunError, "train_gan ended without a word"),
    ],
)
def test_a_failed_stage_is_one_sentence(
    run: Callable[[str], Outcome], workdir: WorkDirectory, how: str, kind: type[Exception], sentence: str
) -> None:
    outcome = run(how)
    assert outcome.status == "failed"
    assert outcome.sentence.startswith(sentence)
    assert "\n" not in outcome.sentence
    with pytest.raises(kind):
        outcome.raise_unless_finished()
    after = run("well")
    assert after.status == "finished"
    assert "prepare_data" not in begun(workdir)


def test_the_log_that_a_sentence_names_is_there(run: Callable[[str], Outcome]) -> None:
    log = Path(run("crash").sentence.rpartition(" ")[2].rstrip(")"))
    assert "ZeroDivisionError" in log.read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_stage_in_good_order(
    run: Callable[[str], Outcome], workdir: WorkDirectory, number: signal.Signals
) -> None:
    def press() -> None:
        wait_until(lambda: waiting(workdir))
        os.kill(os.getpid(), number)

    threading.Thread(target=press).start()
    outcome = run("wait")
    assert outcome.status == "interrupted"
    assert outcome.sentence == "train_gan: interrupted at step 7; the same command continues from there"
    with pytest.raises(Interrupted):
        outcome.raise_unless_finished()
    assert not stages_of(workdir)


WAITING = """
import sys
from pathlib import Path
from components.context import RunContext
from pipeline.engines.local.engine import LOCAL
from pipeline.engines.protocol import Job
from pipeline.workdir import open_workdir
with open_workdir(Path(sys.argv[1])) as workdir:
    context = RunContext(state_dir=str(workdir.root), relay="external")
    LOCAL.run(Job({"how": "wait"}, workdir, context, Path(sys.argv[2])))
"""


def test_a_killed_command_line_leaves_no_orphans(tmp_path: Path, pipeline: Path) -> None:
    workdir = WorkDirectory(tmp_path / "run")
    command = subprocess.Popen([sys.executable, "-c", WAITING, str(workdir.root), str(pipeline)])
    wait_until(lambda: waiting(workdir))
    command.kill()
    command.wait()
    wait_until(lambda: not stages_of(workdir))


def test_the_next_run_waits_for_what_a_killed_one_left(tmp_path: Path, pipeline: Path) -> None:
    workdir = WorkDirectory(tmp_path / "run")
    command = subprocess.Popen([sys.executable, "-c", WAITING, str(workdir.root), str(pipeline)])
    wait_until(lambda: waiting(workdir))
    command.kill()
    command.wait()
    stop_leftovers(workdir.root)
    assert not stages_of(workdir)

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from components.processes import is_alive, parent_mark
from components.stage.failures import Interrupted
from components.stage.stopping import StopSignal

REPO = Path(__file__).parents[3]
POLLING = """
    def call(stage):
        assert not stage.stop_requested
        print("ready", flush=True)
        while not stage.stop_requested:
            time.sleep(0.01)
        print("saved", flush=True)
        raise Interrupted("interrupted at step 12; the same command continues")
"""
DEAF = """
    def call(stage):
        print("ready", flush=True)
        while True:
            time.sleep(0.05)
"""
STOPPED_POLLING = """
    def call(stage):
        assert not stage.stop_requested
        print("ready", flush=True)
        while True:
            time.sleep(0.05)
"""
STUBBORN = """
    def call(stage):
        print("ready", flush=True)
        while True:
            try:
                time.sleep(0.05)
                stage.stop_requested
            except Interrupted:
                pass
"""


def start(body: str, tmp_path: Path, **environment: str) -> subprocess.Popen[str]:
    script = tmp_path / "stage_process.py"
    script.write_text(
        textwrap.dedent(
            f"""
            import sys, time
            sys.path.insert(0, {str(REPO)!r})
            import components.stage.stopping as stopping
            stopping.HARD_EXIT_SECONDS = stopping.PATIENCE_SECONDS = 0.5
            stopping.BEAT_SECONDS, stopping.BEAT_LIMIT_SECONDS = 0.1, 1.5
            from components.stage.stage import Interrupted, run_component
            """
        )
        + textwrap.dedent(body)
        + f"\nrun_component('train_gan', call, run={{'state_dir': {str(tmp_path)!r}}})\n"
    )
    process = subprocess.Popen(
        [sys.executable, str(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stage_that_polls_saves_first(tmp_path: Path, number: signal.Signals) -> None:
    process = start(POLLING, tmp_path)
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert out == "saved\n"
    assert err == "train_gan: interrupted at step 12; the same command continues\n"
    assert process.returncode == 3


@pytest.mark.parametrize("body", [DEAF, STOPPED_POLLING])
def test_a_stage_that_does_not_poll_is_interrupted_where_it_is(tmp_path: Path, body: str) -> None:
    process = start(body, tmp_path)
    process.terminate()
    _, err = process.communicate(timeout=20)
    assert "the same command continues" in err
    assert process.returncode == 3


@pytest.mark.parametrize(("body", "saved"), [(POLLING, "saved\n"), (STUBBORN, "")])
def test_a_stage_outlives_a_killed_starter_only_to_save(tmp_path: Path, body: str, saved: str) -> None:
    starter = subprocess.Popen(["sleep", "60"])
    mark = f"{starter.pid}:{psutil.Process(starter.pid).create_time():.2f}"
    process = start(body, tmp_path, GAN_PIPELINE_PARENT=mark)
    assert process.poll() is None
    starter.kill()
    starter.wait()
    out, _ = process.communicate(timeout=20)
    assert (out, process.returncode) == (saved, 3)


@pytest.mark.parametrize(("body", "saved"), [(POLLING, "saved\n"), (STUBBORN, "")])
def test_a_stage_that_is_held_by_its_standard_input_ends_with_it(tmp_path: Path, body: str, saved: str) -> None:
    process = start(body, tmp_path, GAN_PIPELINE_PARENT="stdin")
    assert process.poll() is None
    out, _ = process.communicate(timeout=20)  # closes its input
    assert (out, process.returncode) == (saved, 3)


def test_a_pid_that_went_to_another_process_is_not_the_starter() -> None:
    assert is_alive(parent_mark())
    assert not is_alive(f"{os.getpid()}:{time.time() - 10**6:.2f}")
    assert not is_alive("nonsense")


def test_the_second_request_does_not_wait_for_a_poll() -> None:
    stop = StopSignal()
    assert not stop.requested
    stop.request()
    assert stop.requested
    with pytest.raises(Interrupted):
        stop.request()


BEATING = """
import sys, time
from pathlib import Path
import components.stage.stopping as stopping
stopping.BEAT_SECONDS = 0.1
with stopping.beating(Path(sys.argv[1])):
    time.sleep(60)
"""


def test_a_stage_on_another_machine_ends_when_nobody_beats_any_more(tmp_path: Path) -> None:
    """What its starter runs on its way out does not count: it is killed."""
    beat = tmp_path / "meeting" / "beat"
    starter = subprocess.Popen([sys.executable, "-c", BEATING, str(beat)], cwd=REPO)
    try:
        while not beat.exists():
            time.sleep(0.01)
        process = start(POLLING, tmp_path, GAN_PIPELINE_PARENT=f"beat:{beat}")
        time.sleep(2.5)
        assert process.poll() is None, "longer than it would wait for a beat"
    finally:
        starter.kill()
        starter.wait()
    out, err = process.communicate(timeout=20)
    assert (out, process.returncode) == ("saved\n", 3)
    assert "interrupted at step 12" in err

"""Who holds a lease, against real processes: killed, stopped, racing, on volumes without locks."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from components import lease as lease_module
from components.lease import TERM_VARIABLE, Fence, Lease, LeaseLostError

REPO = Path(__file__).parents[2]
HOLDER = """
import errno, fcntl, sys, time
from pathlib import Path

if sys.argv[2] == "no locks":
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")
    fcntl.flock = refuse
if sys.argv[2] == "another clock":
    time.time = lambda: 0.0

from components.lease import Lease, LeaseLostError

lease = Lease(Path(sys.argv[1]), "the training here")
assert lease.acquire(600)
print(lease.number, flush=True)
sys.stdin.readline()
try:
    lease.check()
    print("held")
except LeaseLostError as error:
    print(error)
lease.release()
"""
RACER = """
import os, sys, time
from pathlib import Path
from components import lease as lease_module
from components.lease import Lease

lease_module._lock = lambda *_: False
lease = Lease(Path(sys.argv[1]), "the training here")
print("ready", flush=True)
sys.stdin.readline()
assert lease.acquire(600)
with open(sys.argv[2], "ab", buffering=0) as file:
    file.write(f"{lease.number} begins\\n".encode())
    time.sleep(0.2)
    file.write(f"{lease.number} ends\\n".encode())
lease.release()
"""

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a program with arguments, and waits for its first line."""
    started = []

    def begin(program: str, *arguments: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", program, *map(str, arguments)],
            cwd=REPO,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline()
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def long_term(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is waited for that long here."""
    monkeypatch.setenv(TERM_VARIABLE, "100000")


@pytest.fixture
def short_term(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TERM_VARIABLE, "1.5")


@pytest.fixture
def no_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(lease_module.fcntl, "flock", refuse)


def claims(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.usefixtures("long_term")
def test_after_a_killed_holder_of_this_machine_nobody_waits(tmp_path: Path, start: Start) -> None:
    holder = start(HOLDER, tmp_path, "locks")
    lease = Lease(tmp_path, "the training here")
    assert not lease.take()
    assert lease.holder_lives
    holder.kill()
    holder.wait()
    assert lease.take()
    assert (lease.number, claims(tmp_path)) == (2, ["00000002"])
    lease.release()


@pytest.mark.usefixtures("long_term", "no_locks")
def test_after_a_release_nobody_waits(tmp_path: Path) -> None:
    first, second = Lease(tmp_path, "the training here"), Lease(tmp_path, "the training here")
    assert first.take()
    assert not second.take()
    first.release()
    assert second.take()
    second.release()
    assert first.take()
    assert first.number == 3
    first.release()


@pytest.mark.parametrize("locks", ["locks", "no locks"])
@pytest.mark.usefixtures("short_term")
def test_a_stopped_holder_loses_it_and_learns_so(tmp_path: Path, start: Start, locks: str) -> None:
    holder = start(HOLDER, tmp_path, locks)
    holder.send_signal(signal.SIGSTOP)
    lease = Lease(tmp_path, "the training here")
    assert lease.acquire(600)
    holder.send_signal(signal.SIGCONT)
    said, _ = holder.communicate("\n")
    assert said == (
        "the training here has gone to another attempt, as this one was not heard of for a while: "
        "this one ends and writes nothing more; follow the other one\n"
    )
    lease.check()
    assert claims(tmp_path) == ["00000002"]
    lease.release()


@pytest.mark.parametrize("how", ["locks", "no locks", "another clock"])
def test_one_that_beats_keeps_it(tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """Whatever the clocks say: seen from another machine, with the file's time in the future."""
    monkeypatch.setenv(TERM_VARIABLE, "6")
    holder = start(HOLDER, tmp_path, how)
    os.utime(tmp_path / "00000001", (4102444800, 4102444800))
    monkeypatch.setattr(lease_module, "_boot", lambda: "another")
    monkeypatch.setattr(lease_module.platform, "node", lambda: "another")
    lease = Lease(tmp_path, "the training here")
    assert not lease.acquire(patience=0)
    assert lease.holder_lives, "it was heard of"
    assert holder.communicate("\n")[0] == "held\n"


@pytest.mark.usefixtures("short_term")
def test_a_silent_one_of_another_machine_is_waited_for(
    tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Although the lock can be had: other machines may not see it. And although there is no patience for the living."""
    holder = start(HOLDER, tmp_path, "locks")
    holder.kill()
    holder.wait()
    monkeypatch.setattr(lease_module, "_boot", lambda: "another")
    monkeypatch.setattr(lease_module.platform, "node", lambda: "another")
    lease = Lease(tmp_path, "the training here")
    assert not lease.take()
    assert lease.acquire(patience=0)
    lease.release()


@pytest.mark.usefixtures("long_term")
def test_one_of_before_this_machine_s_start_is_dead(
    tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(HOLDER, tmp_path, "locks").kill()
    monkeypatch.setattr(lease_module, "_boot", lambda: "a later one")
    lease = Lease(tmp_path, "the training here")
    assert lease.take()
    lease.release()


def test_of_those_who_race_one_at_a_time_gets_it(tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without locks; the holder before them was killed."""
    monkeypatch.setenv(TERM_VARIABLE, "4")
    holder = start(HOLDER, tmp_path / "lease", "no locks")
    holder.kill()
    holder.wait()
    racers = [start(RACER, tmp_path / "lease", tmp_path / "log") for _ in range(4)]
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("\n")
        racer.stdin.flush()
    assert [racer.wait() for racer in racers] == [0] * 4
    lines = (tmp_path / "log").read_text().splitlines()
    assert lines == [f"{number} {does}" for number in range(2, 6) for does in ("begins", "ends")]


@pytest.mark.usefixtures("long_term")
def test_a_late_claim_below_a_newer_one_is_withdrawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    holder, late = Lease(tmp_path, "the training here"), Lease(tmp_path, "the training here")
    holder._make(5)
    real, looks = lease_module._newest, iter([1])
    monkeypatch.setattr(lease_module, "_newest", lambda folder: next(looks, 0) or real(folder))
    monkeypatch.setattr(late, "_is_over", lambda number: True)
    assert not late.take()
    assert claims(tmp_path) == ["00000005"]
    holder.check()
    holder.release()


@pytest.mark.usefixtures("long_term")
def test_a_full_volume_leaves_no_claim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    lease = Lease(tmp_path, "the training here")
    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OSError, match="No space"):
        lease.take()
    assert claims(tmp_path) == []


def test_a_drawn_number_ends_the_one_before(tmp_path: Path) -> None:
    first = Fence.draw(tmp_path, "the training here")
    first.check()
    second = Fence.draw(tmp_path, "the training here")
    second.check()
    with pytest.raises(LeaseLostError, match="the training here has gone to another attempt"):
        first.check()

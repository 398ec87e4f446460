"""Decoding on several processes: in order, bounded, and with nothing left behind."""

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from gan_models.data.decoding import Item, Target, decode_batch
from gan_models.data.preparing import decode_pool
from gan_models.data.preparing.decode_pool import DecodePool, WorkerDiedError, available_cores
from gan_models.data.shape import Size
from gan_models.data.sources.base import Batch
from gan_models.errors import RunError

TARGET = Target(Size.square(8), 1)


def picture(seed: int) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (12, 12), np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def batch(items: list[Item]) -> Batch:
    return Batch(items, [""] * len(items), [None] * len(items), [None] * len(items))


def batches(count: int, size: int = 5) -> Iterator[Batch]:
    for start in range(count):
        yield batch([picture(start * size + item) for item in range(size)])


def pixels(workers: int) -> list[bytes]:
    with DecodePool(TARGET, workers) as pool:
        return [decoded.pixels for _, decoded in pool.decode(batches(12))]


def test_order_and_content_do_not_depend_on_the_number_of_workers() -> None:
    expected = [decode_batch(each.items, TARGET).pixels for each in batches(12)]
    assert pixels(1) == pixels(3) == expected


def test_only_a_few_batches_are_taken_at_a_time() -> None:
    taken = 0

    def counted() -> Iterator[Batch]:
        nonlocal taken
        for each in batches(40, size=1):
            taken += 1
            yield each

    with DecodePool(TARGET, 2) as pool:
        for done, _ in enumerate(pool.decode(counted())):
            assert taken - done <= decode_pool.BATCHES_IN_FLIGHT * 2


def test_open_images_are_resized_without_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode_pool, "_Worker", None)
    images: list[Item] = [Image.open(io.BytesIO(picture(seed))) for seed in range(3)]
    with DecodePool(TARGET, 2) as pool:
        ((_, decoded),) = pool.decode([batch(images)])
    assert decoded.pixels == decode_batch([picture(seed) for seed in range(3)], TARGET).pixels


class MortalWorker:
    """Stands in for a decoder process that one particular image kills."""

    def decode(self, items: list[Item], target: Target) -> object:
        if b"poison" in items:
            raise WorkerDiedError("signal 9")
        return decode_batch(items, target)

    def kill(self) -> None: ...
    def stop(self) -> None: ...


def test_an_image_that_kills_its_process_is_one_bad_image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode_pool, "_Worker", MortalWorker)
    with DecodePool(TARGET, 1) as pool:
        ((_, decoded),) = pool.decode([batch([picture(0), b"poison", picture(1)])])
    assert decoded.kept == [0, 2]
    assert decoded.reasons == [(1, "damaged: it ended the decoder (signal 9)")]


def test_a_killed_process_is_replaced() -> None:
    with DecodePool(TARGET, 1) as pool:
        results = pool.decode(batches(20))
        next(results)
        worker = pool._workers[0]
        worker.kill()
        outcomes = [decoded for _, decoded in results]
        assert pool._workers[0] is not worker
    assert len(outcomes) == 19
    assert all(decoded.kept == list(range(5)) for decoded in outcomes)


def test_processes_that_never_run_are_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode_pool.sys, "executable", "/bin/false")
    with DecodePool(TARGET, 1) as pool, pytest.raises(RunError, match=r"end at once \(exit code 1\)"):
        list(pool.decode(batches(1)))


def test_leaving_early_ends_the_processes() -> None:
    def leave() -> None:
        with DecodePool(TARGET, 2) as pool:
            next(pool.decode(batches(40)))
            raise KeyError

    before = set(psutil.Process().children())
    with pytest.raises(KeyError):
        leave()
    assert set(psutil.Process().children()) == before


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_no_process_outlives_a_killed_parent(tmp_path: Path) -> None:
    program = f"""
import sys, time
sys.path.insert(0, {str(Path(__file__).parent)!r})
from gan_models.data.preparing.decode_pool import DecodePool
from test_decode_pool import TARGET, batches
with DecodePool(TARGET, 2) as pool:
    results = pool.decode(batches(10 ** 6))
    for _ in range(8):
        next(results)
    print(*(worker._process.pid for worker in pool._workers.values()), flush=True)
    for _ in results:
        pass
"""
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    workers = [int(pid) for pid in parent.stdout.readline().split()]
    assert workers
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    deadline = time.monotonic() + 20
    while any(psutil.pid_exists(pid) for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie" for pid in workers)


def test_quota_of_a_container_is_honoured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    quota = tmp_path / "cpu.max"
    monkeypatch.setattr(decode_pool, "CPU_QUOTA", quota)
    monkeypatch.setattr(decode_pool.os, "sched_getaffinity", lambda _: range(64), raising=False)
    assert available_cores() == 64
    quota.write_text("150000 100000\n")
    assert available_cores() == 2
    quota.write_text("max 100000\n")
    assert available_cores() == 64

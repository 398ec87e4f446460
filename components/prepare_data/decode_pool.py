"""Decoding on all cores, in order, with a bounded number of images in memory.

Each thread of a small pool owns one decoder process and talks to it over pipes: Pillow's decoders release the GIL only
for part of the work, so threads alone do not pay for small images. Processes are started as fresh interpreters
(no fork of a program with threads, no re-import of its main module) and end when their pipe closes.
Images that are already decoded are not sent anywhere: the threads resize them in this process.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import IO

from components.prepare_data.decoding import BadImageError, Decoded, Item, Target, decode_batch
from components.prepare_data.sources import Batch
from gan_models.errors import RunError

BATCHES_IN_FLIGHT = 3  # for each worker: one being decoded, one waiting, one being written
PIPE_BYTES = 1 << 20
PACKAGE_ROOT = Path(__file__).resolve().parents[2]
CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def available_cores() -> int:
    """Cores this process may use: affinity and, in a container, the CPU quota (at least 1)."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with contextlib.suppress(OSError, ValueError):
        quota, period = CPU_QUOTA.read_text().split()
        cores = min(cores, -(-int(quota) // int(period)))
    return max(1, cores)


class WorkerDiedError(Exception):
    """The decoder process ended in the middle of a batch."""


class _Worker:
    """One decoder process and the pipes to it."""

    def __init__(self) -> None:
        path = os.pathsep.join([str(PACKAGE_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "components.prepare_data.decode_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": path},
        )
        for pipe in (self._process.stdin, self._process.stdout):
            _widen(pipe)

    def decode(self, items: Sequence[Item], target: Target) -> Decoded:
        requests, answers = self._process.stdin, self._process.stdout
        assert requests is not None
        assert answers is not None
        try:
            pickle.dump((items, target), requests, pickle.HIGHEST_PROTOCOL)
            requests.flush()
            # Not foreign data: the other end is our own process, and nobody else holds the pipe.
            decoded: Decoded = pickle.load(answers)
        except (OSError, EOFError, pickle.UnpicklingError) as error:
            raise WorkerDiedError(self._ending()) from error
        return decoded

    def _ending(self) -> str:
        self.stop()
        code = self._process.returncode
        return f"signal {-code}" if code < 0 else f"exit code {code}"

    def kill(self) -> None:
        self._process.kill()

    def stop(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _widen(pipe: IO[bytes] | None) -> None:
    """Room in a pipe for a whole batch, so that neither end waits for the other; not possible everywhere."""
    if pipe is not None and sys.platform == "linux":
        import fcntl

        with contextlib.suppress(OSError):
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)


class DecodePool:
    """Decodes batches on several cores; the results come in the order of the batches.

    >>> with DecodePool(Target(size=32, channels=1)) as pool:  # doctest: +SKIP
    ...     for batch, decoded in pool.decode(source.batches()): ...
    """

    def __init__(self, target: Target, workers: int | None = None) -> None:
        self._target = target
        self._size = workers or available_cores()
        self._threads = ThreadPoolExecutor(self._size, thread_name_prefix="decode")
        self._own = threading.local()
        self._lock = threading.Lock()
        self._closed = False
        self._workers: list[_Worker] = []

    def decode(self, batches: Iterable[Batch]) -> Generator[tuple[Batch, Decoded], None, None]:
        """Pairs of a batch and its outcome.

        Raises:
            RunError: decoder processes cannot be started, or die whatever they are given.
        """
        waiting: deque[tuple[Batch, Future[Decoded]]] = deque()
        for batch in batches:
            waiting.append((batch, self._threads.submit(self._decode, batch)))
            if len(waiting) >= BATCHES_IN_FLIGHT * self._size:
                first, future = waiting.popleft()
                yield first, future.result()
        while waiting:
            first, future = waiting.popleft()
            yield first, future.result()

    def _decode(self, batch: Batch) -> Decoded:
        if batch.fill is not None:
            batch.fill(batch)
        items: Sequence[Item] = batch.items
        if not any(isinstance(item, bytes | str) for item in items):
            return decode_batch(items, self._target)
        try:
            return self._ask(items)
        except WorkerDiedError:
            self._check_that_workers_run()
        return self._ask([self._survivor(item) for item in items])

    def _survivor(self, item: Item) -> Item:
        """`item`, or the reason why not if it alone brings down a decoder process."""
        try:
            self._ask([item])
        except WorkerDiedError as ending:
            return BadImageError(f"damaged: it ended the decoder ({ending})")
        return item

    def _check_that_workers_run(self) -> None:
        try:
            self._ask([])
        except WorkerDiedError as ending:
            raise RunError(f"decoder processes end at once ({ending}): is this Python installation complete?") from None

    def _ask(self, items: Sequence[Item]) -> Decoded:
        worker: _Worker | None = getattr(self._own, "worker", None)
        if worker is None:
            worker = self._own.worker = self._start()
        try:
            return worker.decode(items, self._target)
        except WorkerDiedError:
            self._own.worker = None
            raise

    def _start(self) -> _Worker:
        with self._lock:
            if self._closed:
                raise WorkerDiedError("stopped")
            try:
                worker = _Worker()
            except OSError as error:
                raise RunError(f"could not start a decoder process: {error}") from error
            self._workers.append(worker)
            return worker

    def __enter__(self) -> DecodePool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._closed = True
        if error is not None:  # do not wait for batches that nobody will read
            for worker in self._workers:
                worker.kill()
        self._threads.shutdown(wait=True, cancel_futures=True)
        for worker in self._workers:
            worker.stop()

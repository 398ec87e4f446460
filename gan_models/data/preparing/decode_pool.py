"""Decoding on all cores, in order, with a bounded number of images in memory.

Pillow's decoders release the GIL only for part of the work, so threads alone do not pay for small images: the decoding
is done by processes, and threads talk to them over pipes. Two threads share a process, so that its next batch lies
ready in the pipe when it has finished one. Processes are started as fresh interpreters (no fork of a program with
threads, no re-import of its main module) and end when their pipe closes.
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
from typing import IO

from gan_models.data.decoding import Decoded, Item, Target, decode_batch, joined
from gan_models.data.halves import Half
from gan_models.data.sources.base import Batch
from gan_models.errors import RunError

THREADS_FOR_A_WORKER = 2
BATCHES_IN_FLIGHT = 4  # for each worker: one being decoded, one in the pipe, and some so that no thread waits
BYTES_IN_FLIGHT = 512 << 20  # of encoded images, however many cores there are
PIPE_BYTES = 1 << 20
PACKAGE_ROOT = Path(__file__).resolve().parents[3]
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
    """One decoder process and the pipes to it; several threads may ask at once."""

    def __init__(self) -> None:
        # The path of this process, and no `site` (-S) to work it out again: a third less time to start.
        path = os.pathsep.join([str(PACKAGE_ROOT), *filter(None, sys.path)])
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-S", "-P", "-c", "from gan_models.data.decoding import serve; serve()"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": path},
            )
        except OSError as error:
            raise RunError(f"could not start a decoder process: {error}") from error
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._requests, self._answers = self._process.stdin, self._process.stdout
        for pipe in (self._requests, self._answers):
            _widen(pipe)
        self._sending, self._reading = threading.Lock(), threading.Lock()

    def decode(self, items: Sequence[Item], target: Target) -> Decoded:
        """What the process makes of a batch; WorkerDiedError where it ended before it answered."""
        try:
            with self._sending:
                pickle.dump((items, target), self._requests, pickle.HIGHEST_PROTOCOL)
                self._requests.flush()
                self._reading.acquire()  # before anybody else can send: answers come in the order of the requests
            try:
                # Not foreign data: the other end is our own process, and nobody else holds the pipe.
                decoded: Decoded = pickle.load(self._answers)
            finally:
                self._reading.release()
        except (OSError, EOFError, ValueError, pickle.UnpicklingError) as error:  # ValueError: closed meanwhile
            raise WorkerDiedError(self._ending()) from error
        return decoded

    def _ending(self) -> str:
        self.stop()
        code = self._process.returncode
        return f"signal {-code}" if code < 0 else f"exit code {code}"

    def kill(self) -> None:
        self._process.kill()

    def stop(self) -> None:
        for pipe in (self._requests, self._answers):
            with contextlib.suppress(OSError):
                pipe.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _widen(pipe: IO[bytes]) -> None:
    """Room in a pipe for a whole batch, so that neither end waits for the other; not possible everywhere."""
    if sys.platform == "linux":
        import fcntl

        with contextlib.suppress(OSError):
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)


class DecodePool:
    """Decodes batches on several cores; the results come in the order of the batches.

    >>> with DecodePool(Target(Size.square(32), channels=1)) as pool:  # doctest: +SKIP
    ...     for batch, decoded in pool.decode(source.batches(None, 256)): ...
    """

    def __init__(self, target: Target, workers: int | None = None) -> None:
        self._target = target
        self._seats = workers or available_cores()
        self._workers: dict[object, _Worker] = {}
        """By seat: its number, or what stands for a batch that is decoded apart."""
        self._lock = threading.Lock()
        self._closed = False
        self._threads = ThreadPoolExecutor(THREADS_FOR_A_WORKER * self._seats, thread_name_prefix="decode")

    def decode(self, batches: Iterable[Batch]) -> Generator[tuple[Batch, Decoded], None, None]:
        """Pairs of a batch and its outcome: of its images, then of their partners.

        RunError where decoders cannot be started, or die whatever they get.
        """
        waiting: deque[tuple[Batch, Future[Decoded]]] = deque()
        held = 0
        for number, batch in enumerate(batches):
            held += batch.encoded_bytes  # before a thread has it, which may fill in more
            waiting.append((batch, self._threads.submit(self._decode, batch, number % self._seats)))
            while len(waiting) >= BATCHES_IN_FLIGHT * self._seats or (held > BYTES_IN_FLIGHT and len(waiting) > 1):
                first, future = waiting.popleft()
                held -= first.encoded_bytes
                yield first, future.result()
        while waiting:
            first, future = waiting.popleft()
            yield first, future.result()

    def _decode(self, batch: Batch, seat: int) -> Decoded:
        if batch.fill is not None:
            batch.fill(batch)
        items: Sequence[Item] = [*batch.items, *batch.partners]
        if not any(isinstance(item, bytes | str | Half) for item in items):
            return decode_batch(items, self._target)
        try:
            return self._ask(seat, items)
        except WorkerDiedError:
            return self._decode_apart(items)

    def _ask(self, seat: object, items: Sequence[Item]) -> Decoded:
        """What the worker of a seat makes of a batch; it is started when first needed, and anew when it died."""
        with self._lock:
            if self._closed:
                raise WorkerDiedError("stopped")
            if seat not in self._workers:
                self._workers[seat] = _Worker()
            worker = self._workers[seat]
        try:
            return worker.decode(items, self._target)
        except WorkerDiedError:
            with self._lock:
                if self._workers.get(seat) is worker:
                    del self._workers[seat]
            raise

    def _decode_apart(self, items: Sequence[Item]) -> Decoded:
        """A batch whose process died, image by image in a process that no other batch shares."""
        seat = object()
        try:
            self._ask(seat, [])
        except WorkerDiedError as ending:
            if self._closed:
                raise
            raise RunError(f"decoder processes end at once ({ending}): is this Python installation complete?") from None
        try:
            return joined([self._decode_alone(item, seat) for item in items])
        finally:
            with self._lock:
                worker = self._workers.pop(seat, None)
            if worker is not None:
                worker.stop()

    def _decode_alone(self, item: Item, seat: object) -> Decoded:
        try:
            return self._ask(seat, [item])
        except WorkerDiedError as ending:
            return Decoded(reasons=[(0, f"damaged: it ended the decoder ({ending})")])

    def __enter__(self) -> DecodePool:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:  # do not wait for batches that nobody will read
            self._close(at_once=True)
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._close(at_once=False)

    def _close(self, at_once: bool) -> None:
        with self._lock:
            self._closed = True
            workers, self._workers = self._workers, {}
        for worker in workers.values():
            if at_once:
                worker.kill()
            worker.stop()

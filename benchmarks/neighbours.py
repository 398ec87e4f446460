"""Time and peak memory of precision, recall, density and coverage, beside prdc where its matrices fit into memory.

Each is measured in a process of its own, over that of an import of its packages and the features alone: float32, as
extractors give them, of two Gaussian mixtures behind a ReLU.

    python benchmarks/neighbours.py [--counts 2000 10000] [--dimensions 2048] [--prdc-up-to 10000]

prdc keeps several matrices of N^2 float64: at N = 50,000 each takes 20 GB. Needs the extra `dev`.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable, Mapping
from multiprocessing import get_context
from multiprocessing.connection import Connection

import torch
from prdc import compute_prdc

from gan_models.metrics.neighbours import neighbourhoods

K = 5
CENTRES = 100
MIB = 1024  # ru_maxrss is in KiB

Features = tuple[torch.Tensor, torch.Tensor]


def features(count: int, dimensions: int) -> Features:
    stream = torch.Generator().manual_seed(0)
    centres = torch.randn(CENTRES, dimensions, generator=stream)
    sides = []
    for scale in (1.0, 1.1):
        rows = torch.randn(count, dimensions, generator=stream).mul_(scale)
        rows += centres[torch.randint(CENTRES, (count,), generator=stream)]
        sides.append(rows.relu_())
    return sides[0], sides[1]


def ours(fake: torch.Tensor, real: torch.Tensor) -> Mapping[str, float]:
    return neighbourhoods(fake, real, k=K)._asdict()


def prdc(fake: torch.Tensor, real: torch.Tensor) -> Mapping[str, float]:
    found: Mapping[str, float] = compute_prdc(real.double().numpy(), fake.double().numpy(), nearest_k=K)
    return found


def _measure(call: Callable[..., Mapping[str, float]], count: int, dimensions: int, results: Connection) -> None:
    sides = features(count, dimensions)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started, used = time.perf_counter(), time.process_time()
    found = call(*sides)
    seconds, used = time.perf_counter() - started, time.process_time() - used
    results.send((dict(found), seconds, used, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / MIB))


def measured(call: Callable[..., Mapping[str, float]], count: int, dimensions: int) -> tuple[dict[str, float], str]:
    """The figures, and the time and memory in words."""
    processes = get_context("spawn")
    here, there = processes.Pipe(duplex=False)
    process = processes.Process(target=_measure, args=(call, count, dimensions, there))
    process.start()
    there.close()
    found, seconds, used, memory = here.recv()
    process.join()
    return found, f"{seconds:7.1f} s, of a processor {used:7.1f} s, {memory:8.0f} MiB"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", type=int, nargs="+", default=[2_000, 10_000], help="images on either side")
    parser.add_argument("--dimensions", type=int, default=2048)
    parser.add_argument("--prdc-up-to", type=int, default=10_000, help="images that prdc is given at most")
    arguments = parser.parse_args()
    for count in arguments.counts:
        size = 2 * count * arguments.dimensions * 4 / 2**20
        print(
            f"N={count} D={arguments.dimensions}, features {size:.0f} MiB, {torch.get_num_threads()} threads",
            flush=True,
        )
        figures, cost = measured(ours, count, arguments.dimensions)
        print(f"  ours {cost}  " + ", ".join(f"{name} {value:.4f}" for name, value in figures.items()), flush=True)
        if count <= arguments.prdc_up_to:
            theirs, cost = measured(prdc, count, arguments.dimensions)
            difference = max(abs(figures[name] - value) for name, value in theirs.items())
            print(f"  prdc {cost}  difference {difference:.1e}", flush=True)


if __name__ == "__main__":
    main()

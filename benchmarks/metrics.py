"""The figures of gan_models.metrics beside those of public packages, on equal features: differences and times.

Frechet distance: features X and X T + shift (T symmetric, positive definite) have the closed form
|shift|^2 + tr S + tr T S T - 2 tr T S for their sample covariances, also where N <= D: every method has a true error.

    python benchmarks/metrics.py [--dimensions 2048] [--count 5000] [--few 1000]

Prints a table; the ratio is the package's time over ours. Needs the extra `dev`.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import time
from collections.abc import Callable, Mapping

import numpy as np
import scipy.linalg
import torch
from prdc import compute_prdc
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric

from gan_models.metrics.frechet import frechet_distance
from gan_models.metrics.inception_score import inception_score
from gan_models.metrics.kernel_distance import kernel_distance
from gan_models.metrics.neighbours import neighbourhoods

Figures = Mapping[str, float]


def timed(call: Callable[[], Figures]) -> tuple[Figures, float]:
    """What a call returns and its seconds; the best of three where it is over soon."""
    seconds: list[float] = []
    while not seconds or (len(seconds) < 3 and sum(seconds) < 1.0):
        started = time.perf_counter()
        with contextlib.redirect_stdout(io.StringIO()):
            found = call()
        seconds.append(time.perf_counter() - started)
    return found, min(seconds)


def row(title: str, ours: tuple[Figures, float], theirs: tuple[Figures, float], truth: float | None = None) -> None:
    """One line: our time, theirs, the ratio, and the largest difference (to the truth: both errors)."""
    if truth is None:
        difference = max(abs(ours[0][name] - value) for name, value in theirs[0].items())
        agreement = f"difference {difference:.1e}"
    else:
        errors = [abs(found[0]["FD"] / truth - 1.0) for found in (ours, theirs)]
        agreement = f"relative error {errors[0]:.1e}, theirs {errors[1]:.1e}"
    print(f"{title:46s} {ours[1]:7.2f} s {theirs[1]:7.2f} s  x{theirs[1] / ours[1]:<6.2f} {agreement}", flush=True)


def related_features(count: int, dimensions: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Features X and X T + shift, with the Frechet distance between them."""
    rng = np.random.default_rng(0)
    spectrum = np.geomspace(1.0, 1e-2, dimensions)
    basis = np.linalg.qr(rng.normal(size=(dimensions, dimensions)))[0]
    transport = (basis * rng.uniform(0.5, 2.0, dimensions)) @ basis.T
    first = rng.normal(size=(count, dimensions)) * spectrum
    shift = rng.normal(size=dimensions) * 0.01
    centred = first - first.mean(axis=0)
    moved = centred @ transport
    traces = (centred**2).sum() + (moved**2).sum() - 2.0 * (centred * moved).sum()
    offset = first.mean(axis=0) @ transport + shift - first.mean(axis=0)
    return first, first @ transport + shift, float(offset @ offset + traces / (count - 1))


def with_sqrtm(first: np.ndarray, second: np.ndarray) -> Figures:
    """As pytorch-fid and clean-fid do it."""
    one, two = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    shift = first.mean(axis=0) - second.mean(axis=0)
    root = scipy.linalg.sqrtm(one @ two)
    return {"FD": float(shift @ shift + np.trace(one) + np.trace(two) - 2.0 * np.trace(root).real)}


def with_torch_fidelity(first: np.ndarray, second: np.ndarray) -> Figures:
    statistics = [fid_features_to_statistics(torch.from_numpy(rows)) for rows in (first, second)]
    return {"FD": fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]}


def frechet(count: int, dimensions: int) -> None:
    first, second, truth = related_features(count, dimensions)
    ours = timed(lambda: {"FD": frechet_distance(first, second)})
    title = f"FD  N={count} D={dimensions}"
    row(f"{title}, torch-fidelity", ours, timed(lambda: with_torch_fidelity(first, second)), truth)
    row(f"{title}, scipy sqrtm", ours, timed(lambda: with_sqrtm(first, second)), truth)


def others(count: int, dimensions: int) -> None:
    rng = np.random.default_rng(1)
    real, fake = (np.maximum(rng.normal(size=(count, dimensions)), 0.0) * scale for scale in (1.0, 1.1))
    one, two = torch.from_numpy(fake), torch.from_numpy(real)
    size = min(1000, count)

    def kid() -> Figures:
        return dict(zip(("mean", "std"), kernel_distance(one, two, subset_size=size), strict=True))

    def kid_of_torch_fidelity() -> Figures:
        found = kid_features_to_metric(one, two, kid_subset_size=size, verbose=False)
        return {name: found[f"kernel_inception_distance_{name}"] for name in ("mean", "std")}

    def isc() -> Figures:
        return dict(zip(("mean", "std"), inception_score(one), strict=True))

    def isc_of_torch_fidelity() -> Figures:
        found = isc_features_to_metric(one)
        return {name: found[f"inception_score_{name}"] for name in ("mean", "std")}

    title = f"N={count} D={dimensions}"
    row(f"KID {title}, torch-fidelity", timed(kid), timed(kid_of_torch_fidelity))
    row(f"IS  {title}, torch-fidelity", timed(isc), timed(isc_of_torch_fidelity))
    balls = timed(lambda: neighbourhoods(one, two)._asdict())
    row(f"precision..coverage {title}, prdc", balls, timed(lambda: compute_prdc(real, fake, nearest_k=5)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dimensions", type=int, default=2048)
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--few", type=int, default=1000, help="a number of images below the dimensions")
    arguments = parser.parse_args()
    print(f"{'':46s} {'ours':>9s} {'package':>9s}  ratio   ({torch.get_num_threads()} threads)")
    frechet(arguments.count, arguments.dimensions)
    frechet(arguments.few, arguments.dimensions)
    others(arguments.count, 128)
    others(arguments.few, arguments.dimensions)


if __name__ == "__main__":
    main()

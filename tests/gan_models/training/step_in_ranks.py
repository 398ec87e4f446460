"""Takes two steps of many games on random images, in one process and in two that train together.

step_in_ranks.py RECIPES FOLDER    # {name: recipe} as JSON; writes {name: state} to FOLDER/1.pt and FOLDER/2.pt
"""

import json
import multiprocessing
import os
import socket
import sys
from pathlib import Path
from typing import Any

import torch

from gan_models import ranks
from gan_models.data.shape import DataShape
from gan_models.data.table import EpochSampler, Split
from gan_models.games.base import Batch, build_game
from gan_models.recipes.loading import parse_recipe

IMAGES, STEPS, BATCH = 64, 2, 16


def play(document: dict[str, Any]) -> dict[str, Any]:
    """State of the game after the steps."""
    recipe = parse_recipe(document, "the test")
    recipe.check_ranks(ranks.count())
    size, stream = recipe.data.size, torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (IMAGES, *size, 1), generator=stream, dtype=torch.uint8)
    split = Split(images, torch.arange(IMAGES) % 2, [str(number) for number in range(IMAGES)])
    torch.manual_seed(3)
    game = build_game(recipe, DataShape((1, *size), 2), torch.device("cpu"))
    game.prepare(split, 3)
    sampler, drawn = EpochSampler(IMAGES, BATCH, 3), 0

    def draw() -> Batch:
        nonlocal drawn
        drawn += 1
        return Batch.of(split, ranks.share(sampler.indices(drawn - 1)), recipe.needs)

    for _ in range(STEPS):
        game.step(draw, report=False)
    return game.state_dict()


def work(rank: int, count: int, port: int, recipes: dict[str, dict[str, Any]], folder: Path) -> None:
    os.environ |= {"WORLD_SIZE": str(count), "RANK": str(rank), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    with ranks.joined(torch.device("cpu")):
        states = {name: play(document) for name, document in recipes.items()}
        if ranks.is_lead():
            torch.save(states, folder / f"{count}.pt")


def main(recipes_file: str, folder: str) -> int:
    recipes = json.loads(Path(recipes_file).read_text())
    forks = multiprocessing.get_context("fork")
    processes = []
    for count in (1, 2):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        processes += [
            forks.Process(target=work, args=(rank, count, port, recipes, Path(folder))) for rank in range(count)
        ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return max(abs(int(process.exitcode or 0)) for process in processes)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

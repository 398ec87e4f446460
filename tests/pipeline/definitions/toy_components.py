"""For test_chain.py: components that wait for each other. Apart, for kfp reads annotations and not their text."""

from kfp import dsl
from kfp.dsl import Artifact, Dataset, Input, Metrics, Output

from pipeline.definitions.chain import Chain


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def make(seed: int, things: Output[Dataset], limit: int = 3) -> str:
    return "made"


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def count(things: Input[Dataset], number: Output[Metrics]) -> None:
    pass


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def weigh(number: Input[Metrics], things: Input[Dataset], weight: Output[Artifact]) -> None:
    pass


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def again(things: Output[Dataset]) -> None:
    pass


def trace(*names: str) -> dict[str, dsl.PipelineTask]:
    """The tasks of a pipeline of these stages."""
    tasks = {}

    @dsl.pipeline(name="toy")
    def toy(seed: int):  # what it returns would be an output
        chain = Chain({"seed": seed})
        chain.add(*names)
        tasks.update(chain.tasks)

    return tasks

"""For test_cluster.py: a pipeline with tasks in groups. On its own, for kfp reads annotations and not their text."""

from kfp import dsl

from components.prepare_data.component import prepare_data


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def decide() -> str:
    return "act"


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def act() -> None:
    pass


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def tell() -> None:
    pass


@dsl.pipeline(name="grouped")
def grouped(data: str, source_version: str, code_version: str, run: str) -> None:
    with dsl.ExitHandler(tell()):
        prepare_data(data=data, source_version=source_version, code_version=code_version, run=run)
        with dsl.If(decide().output == "act"):
            act()

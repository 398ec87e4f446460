"""Chains stages: each is given what it asks for by name, from the pipeline's parameters and the stages before it.

Only artifacts are handed on. A condition reads the one value that a component returns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from gan_models.errors import RequestError
from pipeline.definitions.stages import STAGES

if TYPE_CHECKING:
    from kfp.dsl import PipelineTask

STATUS = "PipelineTaskFinalStatus"  # an input that KFP fills in by itself


class Chain:
    """The tasks of a pipeline that is being traced.

    Args:
        parameters: of the pipeline, by name; stages take what they ask for.
    """

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        self._known = dict(parameters)
        self.tasks: dict[str, PipelineTask] = {}

    def branch(self, **given: Any) -> Chain:
        """A chain inside a loop: it knows what this one does and what each turn is `given`; add to it in there."""
        return Chain({**self._known, **given})

    def collect(self, turns: Chain, **names: str) -> None:
        """Gives the stages after a loop what all its turns gave, as lists in their order: `name=output`."""
        from kfp import dsl

        for name, output in names.items():
            self._known[name] = dsl.Collected(turns._known[output])

    def prepare(self, workers: int) -> None:
        """Adds what prepares the data: one stage, or so many that import parts of it and one that merges them."""
        from kfp import dsl

        if workers == 1:
            self.add("prepare_data")
            return
        with dsl.ParallelFor(items=[*range(workers)], name="import", parallelism=workers) as part:
            turn = self.branch(part=part)
            turn.add("import_shards")
        self.collect(turn, parts="shards")
        self.add("merge_shards")

    def add(self, *names: str) -> PipelineTask:
        """Adds stages as what they need is there; the last one's task. RequestError: it never is, or is given twice."""
        waiting = list(names)
        while waiting:
            ready = next((name for name in waiting if not self._missing(name)), None)
            if ready is None:
                raise RequestError(
                    f"the stage {waiting[0]!r} asks for {self._missing(waiting[0])[0]!r}, which is neither a parameter "
                    f"of the pipeline nor an output of a stage before it: these are {', '.join(sorted(self._known))}"
                )
            waiting.remove(ready)
            self._add(ready)
        return self.tasks[names[-1]]

    def _add(self, name: str) -> None:
        stage, component = STAGES[name], STAGES[name].load()
        if component.name != name.replace("_", "-"):
            raise RequestError(f"the stage {name!r} is a component {component.name!r}: give both the same name")
        sources = {key: stage.inputs.get(key, key) for key in _inputs(name)}
        task = component(**{key: self._known[source] for key, source in sources.items() if source in self._known})
        task.set_display_name(stage.display_name or stage.title.capitalize())
        task.set_caching_options(enable_caching=stage.cached)
        for output in _outputs(name):
            if output in self._known:
                raise RequestError(f"the stage {name!r} gives {output!r}, which there is already: rename its output")
            self._known[output] = task.outputs[output]
        for result in stage.results.values():
            if any(result in STAGES[other].results.values() for other in self.tasks):
                raise RequestError(f"the stage {name!r} has a result {result!r}, which there is already: rename it")
        self.tasks[name] = task

    def _missing(self, name: str) -> list[str]:
        renamed = STAGES[name].inputs
        wanted = [renamed.get(key, key) for key, optional in _inputs(name).items() if not optional]
        return [source for source in wanted if source not in self._known]

    @property
    def outputs(self) -> dict[str, Any]:
        """All that the stages have given, as `outputs_type` declares it."""
        return {output: self._known[output] for name in self.tasks for output in _outputs(name)}


def outputs_type(names: Iterable[str]) -> Any:
    """A named tuple of all artifacts that these stages give, as KFP wants it for what a pipeline hands over."""
    fields = {output: kind for name in names for output, kind in _outputs(name).items()}
    return NamedTuple("Outputs", list(fields.items()))


def _inputs(name: str) -> dict[str, bool]:
    """Inputs of a stage -> whether it does without."""
    inputs = STAGES[name].load().component_spec.inputs or {}
    return {key: bool(spec.optional) for key, spec in inputs.items() if spec.type != STATUS}


def _outputs(name: str) -> dict[str, Any]:
    """Artifacts that a stage gives -> their kinds, such as `kfp.dsl.Dataset`."""
    from kfp import dsl

    outputs = STAGES[name].load().component_spec.outputs or {}
    kinds = {output: spec.type.partition("@")[0].partition("system.")[2] for output, spec in outputs.items()}
    return {output: getattr(dsl, kind) for output, kind in kinds.items() if kind}

"""Kubeflow Pipelines as an engine: its runs are begun by `gan-pipeline submit` and go on without this machine."""

from collections.abc import Callable
from pathlib import Path

from gan_models.errors import RequestError
from pipeline.engines.protocol import Engine, Launch
from pipeline.scheduling.schedule import Scheduler


class ClusterEngine(Engine):
    """Stages are pods."""

    here = False

    def ready(self, image: str | None) -> Launch:
        raise RequestError("--engine cluster: what runs there leaves its results there: use `gan-pipeline submit`")

    def scheduler(self, store: Path, say: Callable[[str], None]) -> Scheduler:
        from pipeline.engines.cluster.schedules import ClusterSchedules
        from pipeline.engines.cluster.settings import read_settings

        return ClusterSchedules(read_settings({}), note=say)


CLUSTER = ClusterEngine()

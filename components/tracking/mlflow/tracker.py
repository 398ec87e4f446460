"""MLflow as a tracker. mlflow itself is imported by what sends, reads and registers, not by this module."""

from __future__ import annotations

import sys
from pathlib import Path

from components.context import RunContext
from components.tracking.backend import ANSWER_SECONDS, Answer, Sender, Tracker
from components.tracking.champions import Champions
from components.tracking.mlflow.address import SQLITE, check_address, sqlite_path, sqlite_uri
from gan_models.errors import RequestError


class Mlflow(Tracker):
    """Tracking servers, and databases that are used without one."""

    name = "MLflow"
    keeps_models = True

    def check(self, uri: str, seconds: float = ANSWER_SECONDS) -> Answer:
        return check_address(uri, seconds)

    def absolute(self, uri: str) -> str:
        path = sqlite_path(uri)
        return uri if path is None or path.is_absolute() else sqlite_uri(Path(uri.removeprefix(SQLITE)))

    def check_exists(self, uri: str) -> None:
        database = sqlite_path(uri)
        if database is not None and not database.is_file():
            raise RequestError(
                f"there is no MLflow store at {database} yet: start a run, or give --workdir or --tracking-uri"
            )

    def sender(self, context: RunContext) -> Sender:
        from components.tracking.mlflow.sender import MlflowSender

        return MlflowSender(context)

    def pack_generator(self, generator: Path, target: Path) -> None:
        from components.tracking.mlflow.generator_program import write_generator_program

        super().pack_generator(generator, target)
        write_generator_program(generator, target)

    def ui_server(self, uri: str, host: str, port: int) -> tuple[list[str], dict[str, str]]:
        command = [sys.executable, "-m", "mlflow", "server", "--host", host, "--port", str(port), "--workers", "1"]
        return command, {"MLFLOW_BACKEND_STORE_URI": uri, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}

    def champions(self, uri: str) -> Champions:
        from components.tracking.mlflow.champions import MlflowChampions

        return MlflowChampions(uri)


MLFLOW = Mlflow()

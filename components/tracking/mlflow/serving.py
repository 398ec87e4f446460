"""A registered generator as MLflow serves it: the module that its versions name as their loader, so it keeps its name.

`mlflow models serve` passes on what `predict` raises: the sentence of an `MlflowException`, the whole traceback of
anything else.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INTERNAL_ERROR, INVALID_PARAMETER_VALUE

from gan_models.errors import RequestError
from gan_models.sampling.served import RowServer, load_served

_log = logging.getLogger(__name__)


class Refused(MlflowException):
    """Its message stays one sentence: MLflow's server would put all that was sent in front of it."""

    @property
    def message(self) -> str:
        return str(self)

    @message.setter
    def message(self, text: str) -> None:
        pass


class PyfuncGenerator:
    """What `mlflow.pyfunc.load_model` gives, behind its check of the signature."""

    def __init__(self, rows: RowServer) -> None:
        self._rows = rows

    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> list[dict[str, int | str]]:
        """`RowServer.answer`, for the rows of a pandas DataFrame; MlflowException where there is no answer.

        Args:
            model_input: the table, which MLflow makes of whatever it is given.
            params: not used.
        """
        try:
            return self._rows.answer(model_input.to_dict("records"))
        except RequestError as error:
            raise Refused(str(error), INVALID_PARAMETER_VALUE) from None
        except Exception:
            _log.exception("a request could not be answered")
            raise Refused("the generator failed; the server's log says why", INTERNAL_ERROR) from None


def _load_pyfunc(path: str) -> PyfuncGenerator:
    """Called by MLflow with the path of the generator folder."""
    return PyfuncGenerator(RowServer(load_served(Path(path))))

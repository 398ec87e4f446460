"""A connection to the API of Kubeflow Pipelines, made when first needed; everything that fails is one sentence."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import traceback
import warnings
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.redaction import redact
from gan_models.errors import RequestError, RunError, home_path
from pipeline.engines.cluster.settings import Connection

if TYPE_CHECKING:
    from kfp.client import Client

PAGE = 100  # of a listing
ANSWER_SECONDS = 30  # to connect, and again for each part of an answer
REPEATS, REPEAT_WAIT = 3, 0.5
"""Of requests that change nothing; the wait is doubled each time. All others are sent once."""
REPEATED = (429, 502, 503, 504)
_IN_CLUSTER = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
_PIPELINES_TOKEN = Path("/var/run/secrets/kubeflow/pipelines/token")


class NotFoundError(RequestError):
    """There is no such thing on the server."""


class ClusterClient:
    """Calls the API; every failure is a RequestError (ask differently) or a RunError (try again)."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    @cached_property
    def kfp(self) -> Client:
        """kfp's own client, for the ways to log in that it knows; its first request is made here."""
        self._check_place()
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)  # it says what a sentence will say
            client: Client = self._sentence_for("reach it", self._make)
        return client

    def _make(self) -> Client:
        import urllib3
        from kfp.client import Client, ServiceAccountTokenVolumeCredentials

        class PatientClient(Client):  # type: ignore[misc]
            def get_kfp_healthz(self, sleep_duration: int = 5) -> Any:
                # kfp asks five times over 25 s, and logs a traceback each time, even where a login is missing.
                return self._healthz_api.healthz_service_get_healthz(_request_timeout=(ANSWER_SECONDS, ANSWER_SECONDS))

        token = self.connection.token_file or os.environ.get("KF_PIPELINES_SA_TOKEN_PATH")
        credentials = ServiceAccountTokenVolumeCredentials(str(token)) if token or _PIPELINES_TOKEN.exists() else None
        client = PatientClient(
            host=self.connection.host,
            namespace=self.connection.namespace,
            credentials=credentials,
            ui_host=self.connection.ui_host,
        )
        pools = client.runs.run_service_get_run.__self__.api_client.rest_client.pool_manager
        pools.connection_pool_kw["retries"] = urllib3.Retry(
            REPEATS,
            backoff_factor=REPEAT_WAIT,
            status_forcelist=REPEATED,
            allowed_methods=["GET"],
            raise_on_status=False,
        )
        return client

    def _check_place(self) -> None:
        token = self.connection.token_file
        if token is not None and not token.is_file():
            raise RequestError(f"token_file: there is no file {token}")
        if self.connection.host or os.environ.get("KF_PIPELINES_ENDPOINT") or _IN_CLUSTER.exists():
            return
        places = os.environ.get("KUBECONFIG", str(home_path("~") / ".kube/config")).split(os.pathsep)
        if not any(Path(place).is_file() for place in places):
            raise RequestError(
                "there is no cluster to talk to: give --host, or set KF_PIPELINES_ENDPOINT, or log in with kubectl"
            )

    @property
    def api(self) -> Any:
        """The generated client, for requests that no method of kfp makes."""
        return self.kfp.runs.run_service_get_run.__self__.api_client

    @property
    def address(self) -> str:
        made = self.__dict__.get("kfp")
        host = self.connection.host or os.environ.get("KF_PIPELINES_ENDPOINT")
        return redact(host or (str(self.api.configuration.host) if made else "the cluster"))

    def call(self, doing: str, method: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """One request.

        Args:
            doing: what it is for, as in "submit the run".
            method: of the generated API, such as `client.kfp.runs.run_service_get_run`.
        """
        seconds = (ANSWER_SECONDS, ANSWER_SECONDS)
        answer = self._sentence_for(doing, method, *arguments, _request_timeout=seconds, **named)
        if "html" in (self.api.last_response.getheader("content-type") or ""):  # the generated code takes it for empty
            raise self._stranger()
        return answer

    def pages(self, doing: str, method: Callable[..., Any], key: str, size: int = PAGE, **named: Any) -> Iterator[Any]:
        """All that a listing has, `size` at a time, for each is sent whole; `key` is what its answers call them."""
        token = ""
        while True:
            page = self.call(doing, method, page_size=size, page_token=token, **named)
            yield from getattr(page, key) or []
            if not (token := page.next_page_token or ""):
                return

    def get_text(self, doing: str, path: str) -> str:
        """The body of an answer that is no JSON."""
        answer = self._sentence_for(
            doing,
            self.api.call_api,
            path,
            "GET",
            auth_settings=["Bearer"],
            _return_http_data_only=True,
            _preload_content=False,
            _request_timeout=(ANSWER_SECONDS, ANSWER_SECONDS),
        )
        return bytes(answer.data).decode(errors="replace")

    def _sentence_for(self, doing: str, method: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        import urllib3
        from kfp_server_api import ApiException

        try:
            return method(*arguments, **named)
        except ApiException as error:
            raise self._refusal(doing, error) from None
        except urllib3.exceptions.MaxRetryError as error:
            raise self._silence(doing, error.reason or error) from None
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self._silence(doing, error) from None
        except (ValueError, AttributeError, TypeError, KeyError) as error:
            if isinstance(error.__context__, ApiException):  # the generated code trips over an error without a body
                raise self._refusal(doing, error.__context__) from None
            if not any("deserialize" in frame.name for frame in traceback.extract_tb(error.__traceback__)):
                raise  # a mistake of ours, and not of who has answered
            raise self._stranger() from None

    def _stranger(self) -> RequestError:
        return RequestError(f"{self.address} answers, but not as Kubeflow Pipelines does (a login page?): check --host")

    def _refusal(self, doing: str, error: Any) -> RequestError | RunError:
        status, said = error.status, message_of(error.body)
        at = f"{self.address} ({status})"
        because = f": {said}" if said else ""
        if status == 0:
            return RequestError(f"no safe connection to {self.address}: {_first_line(error.reason)}; check --host")
        if status == 401:
            return RequestError(
                f"{at} asks for a login to {doing}: name a token_file in gan-pipeline.toml or "
                "GAN_PIPELINE_CLUSTER_TOKEN_FILE; an old token may have ended"
            )
        if status == 403:
            return RequestError(
                f"{at} does not let you {doing} in the namespace {self.connection.namespace!r}: give another "
                "--namespace, or ask for the role kubeflow-pipelines-edit there"
            )
        if status == 404:
            return NotFoundError(f"{at} has nothing there to {doing}{because}; check the name and --host")
        if status == 409:
            return RequestError(
                f"{at} has one of that name already, so it did not {doing}{because}; choose another name"
            )
        if status in REPEATED or status >= 500:
            return RunError(f"{at} failed to {doing}{because}; try again in a while")
        return RequestError(f"{at} refuses to {doing}{because}")

    def _silence(self, doing: str, reason: Exception) -> RequestError | RunError:
        import urllib3

        if isinstance(reason, urllib3.exceptions.NameResolutionError):
            return RequestError(f"there is no host {self.address}: check --host")
        if isinstance(reason, urllib3.exceptions.SSLError):
            return RequestError(f"no safe connection to {self.address}: {_first_line(str(reason))}; check --host")
        if isinstance(reason, (urllib3.exceptions.ReadTimeoutError, urllib3.exceptions.ProtocolError)):
            return RunError(
                f"{self.address} took the request to {doing} and did not answer within {ANSWER_SECONDS} s: look "
                "whether it was done before you ask again"
            )
        return RunError(
            f"nothing answers at {self.address}, so it cannot {doing}: is it up, and its port forwarded "
            "(kubectl port-forward svc/ml-pipeline 8888)?"
        )


def message_of(body: Any) -> str:
    """What a server says in an error, on one line without its call stack."""
    text = body.decode(errors="replace") if isinstance(body, bytes) else str(body or "")
    try:
        document = json.loads(text)
        text = str(document.get("message") or document.get("error") or document.get("error_message") or "")
    except (ValueError, AttributeError):
        text = "" if text.lstrip().startswith("<") else text
    return redact(_first_line(text))[:400]


def _first_line(text: str) -> str:
    return next((line.strip() for line in str(text).splitlines() if line.strip()), "").rstrip(".")

"""Settings of a cluster: from flags, else the environment, else `gan-pipeline.toml`, else their defaults.

A key of the file's section `[cluster]` is an option without its dashes in front: `node-selector` or `node_selector`.
In the environment it is GAN_PIPELINE_CLUSTER_NODE_SELECTOR, and blanks are between what may be given several times.
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from components.redaction import redact
from components.tracking.backend import TRACKERS
from gan_models.errors import RequestError, unknown_name
from pipeline.engines.cluster.placement import Namespace, ObjectName, Placement
from pipeline.request.plan import EXPERIMENT, TRACKING_VARIABLE

FILE = "gan-pipeline.toml"
SECTION = "cluster"
PREFIX = "GAN_PIPELINE_CLUSTER_"
Model = TypeVar("Model", bound=BaseModel)
_HERE = ("localhost", "127.0.0.1", "::1", "0.0.0.0")


class Connection(BaseModel):
    """Which Kubeflow Pipelines to talk to, and as whom."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str | None = None
    """Of the API or its UI; default: KF_PIPELINES_ENDPOINT, the cluster this runs in, or the one of kubectl."""
    namespace: Namespace = "kubeflow"
    experiment: str = Field(EXPERIMENT, min_length=1, max_length=255)  # in Kubeflow and in MLflow
    tracking_uri: str = ""  # as the pods reach it; empty: runs are not tracked unless Kubeflow's MLflow plugin does
    service_account: ObjectName | None = None  # that the pods run as
    token_file: Path | None = None  # holds a bearer token; read again for every request
    ui_host: str | None = None  # for links, where the UI is not at `host`
    timezone: str = "UTC"
    """That the cluster reads cron expressions in: CRON_SCHEDULE_TIMEZONE of its schedule controller."""

    @field_validator("host", "ui_host")
    @classmethod
    def _check_host(cls, host: str | None) -> str | None:
        if host is None:
            return None
        parts = urlsplit(host if "://" in host else f"https://{host}")
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
            raise ValueError(f"{redact(host)!r}: expected an address such as https://kubeflow.example/pipeline")
        return host.rstrip("/")

    @field_validator("tracking_uri")
    @classmethod
    def _check_tracking(cls, uri: str) -> str:
        scheme = uri.partition(":")[0].partition("+")[0]
        if not uri:
            return uri
        if redact(uri) != uri:
            raise ValueError(
                f"{redact(uri)!r} holds a login: put it into a Kubernetes secret and name that by --secret"
            )
        if scheme == "sqlite" or scheme not in TRACKERS or urlsplit(uri).hostname in _HERE:
            raise ValueError(
                f"{uri!r} is on this machine, where pods cannot reach it: give their MLflow server's address"
            )
        return uri


KEYS = (*Connection.model_fields, *Placement.model_fields, "image_digest")


@dataclass(frozen=True)
class ClusterSettings:
    """All settings, with where each came from."""

    connection: Connection
    values: Mapping[str, Any]  # of `Placement`, those that were given
    image_digest: str | None = None
    origins: Mapping[str, str] = field(default_factory=dict)

    def placement(self) -> Placement:
        """Raises RequestError: no image, or a value that cannot be."""
        image = self.values.get("image")
        if not image:
            raise RequestError("there is no image for the stages to run in: give --image, by tag or digest")
        if self.image_digest:
            image = f"{str(image).partition('@')[0]}@{self.image_digest}"
        return _validated(Placement, {**self.values, "image": image}, self.origins)


def read_settings(
    flags: Mapping[str, Any],
    environment: Mapping[str, str] = os.environ,
    folder: Path | None = None,
    *,
    submits: bool = True,
) -> ClusterSettings:
    """The settings for a command.

    Args:
        flags: what was typed; None and empty lists were not.
        folder: where `gan-pipeline.toml` is looked for; default: the current one.
        submits: whether pods are to be started: what only they need is else not looked at.

    Raises:
        RequestError: an unknown key, with the nearest right one, or a value that cannot be.
    """
    given = {key: value for key, value in flags.items() if value not in (None, [], ())}
    known, stored = _from_environment(environment), _from_file((folder or Path.cwd()) / FILE)
    values = {**stored, **known, **given}
    origins = {key: f"{key} in {FILE}" for key in stored}
    origins |= {key: "MLFLOW_TRACKING_URI or " * (key == "tracking_uri") + PREFIX + key.upper() for key in known}
    origins |= {key: f"--{key.replace('_', '-')}" for key in given}
    digest = values.pop("image_digest", None)
    connection = {key: values.pop(key) for key in list(values) if key in Connection.model_fields}
    if not submits:
        connection.pop("tracking_uri", None)
    return ClusterSettings(_validated(Connection, connection, origins), values, digest, origins)


def _from_file(file: Path) -> dict[str, Any]:
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise RequestError(f"{file.name} cannot be read: {error}") from None
    for section in document:
        if section != SECTION:
            raise unknown_name(f"section of {FILE}", section, [SECTION])
    values = {str(key).replace("-", "_"): value for key, value in dict(document.get(SECTION, {})).items()}
    for key in values:
        if key not in KEYS:
            raise unknown_name(f"key of [{SECTION}] in {FILE}", key, KEYS)
    return values


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if uri := environment.get(TRACKING_VARIABLE):
        values["tracking_uri"] = uri
    for name, text in environment.items():
        if not name.startswith(PREFIX):
            continue
        key = name.removeprefix(PREFIX).lower()
        if key not in KEYS:
            raise unknown_name("environment variable", name, [PREFIX + each.upper() for each in KEYS])
        if text:
            is_list = key in Placement.model_fields and Placement.model_fields[key].default == ()
            values[key] = tuple(text.split()) if is_list else text
    return values


def _validated(model: type[Model], values: Mapping[str, Any], origins: Mapping[str, str]) -> Model:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = str(first["loc"][0]) if first["loc"] else ""
        message = first["msg"].removeprefix("Value error, ")
        if first["type"] != "value_error":
            message = f"{first['input']!r}: {message[0].lower()}{message[1:]}"
        raise RequestError(f"{origins.get(key, '')} {message}".strip()) from None

"""The compose file: what it says of each service, and docker compose's own opinion where that is installed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

FILE = Path(__file__).parents[2] / "infra" / "compose.yaml"


@pytest.fixture
def compose() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(FILE.read_text())
    return document


def test_docker_compose_takes_it() -> None:
    words = ["docker", "compose"]
    try:
        known = subprocess.run([*words, "version"], capture_output=True, check=False).returncode == 0
    except OSError:
        known = False
    if not known:
        pytest.skip("docker compose is not installed")
    done = subprocess.run(
        [*words, "--file", str(FILE), "config", "--quiet"],
        env={**os.environ, "POSTGRES_PASSWORD": "filled-in"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_what_services_name_is_declared(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert set(services) == {"postgres", "mlflow", "scheduler", "generator"}
    for service in services.values():
        assert set(service["networks"]) <= set(compose["networks"])
        assert set(service.get("depends_on", {})) <= set(services)
        named = {volume.split(":")[0] for volume in service.get("volumes", [])}
        assert {name for name in named if not name.startswith(("$", ".", "/"))} <= set(compose["volumes"])


def test_services_wait_for_healthy_ones(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        for other, how in service.get("depends_on", {}).items():
            assert how == {"condition": "service_healthy"}
            assert "healthcheck" in compose["services"][other]


def test_the_password_is_asked_for_and_nowhere_written(compose: dict[str, Any]) -> None:
    assert compose["services"]["postgres"]["environment"]["POSTGRES_PASSWORD"].startswith("${POSTGRES_PASSWORD:?")
    assert "${POSTGRES_PASSWORD}@" in compose["services"]["mlflow"]["environment"]["MLFLOW_BACKEND_STORE_URI"]


def test_the_database_is_reached_by_mlflow_alone(compose: dict[str, Any]) -> None:
    users = {name for name, service in compose["services"].items() if "database" in service["networks"]}
    assert users == {"postgres", "mlflow"}
    assert compose["networks"]["database"]["internal"] is True
    assert "ports" not in compose["services"]["postgres"]


def test_a_generator_is_served_where_that_is_asked_for(compose: dict[str, Any]) -> None:
    profiles = {name: service.get("profiles") for name, service in compose["services"].items()}
    assert profiles.pop("generator") == ["serving"]
    assert set(profiles.values()) == {None}
    generator = compose["services"]["generator"]
    assert generator["environment"]["__pyfunc_model_path__"] == "${SERVED_MODEL:-}"
    assert generator["ports"] == ["${SERVING_ADDRESS:-127.0.0.1}:8080:8080"]


def test_every_service_is_confined(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert not {"cap_add", "privileged"} & set(service)
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert "/tmp" in service["tmpfs"]

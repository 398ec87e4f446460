"""Settings of a cluster: which of a flag, the environment, the file and the default wins, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gan_models.errors import RequestError
from pipeline.engines.cluster.settings import read_settings

IMAGE = "registry.example/gan-pipeline:0.1.0"


def test_flag_then_environment_then_file_then_default(tmp_path: Path) -> None:
    (tmp_path / "gan-pipeline.toml").write_text(
        "[cluster]\nnamespace = 'file'\nhost = 'https://file'\ngpus = 1\nnode-selector = ['gpu=a', 'zone=b']\n"
    )
    environment = {
        "GAN_PIPELINE_CLUSTER_HOST": "https://environment",
        "GAN_PIPELINE_CLUSTER_GPUS": "2",
        "GAN_PIPELINE_CLUSTER_TOLERATION": "gpu:NoSchedule spot",
        "GAN_PIPELINE_RUN": "{}",
        "MLFLOW_TRACKING_URI": "http://mlflow:5000",
    }
    settings = read_settings({"gpus": 4, "image": IMAGE, "pvc": None, "secret": []}, environment, tmp_path)
    connection, placement = settings.connection, settings.placement()
    assert (connection.host, connection.namespace, connection.experiment) == (
        "https://environment",
        "file",
        "gan-pipeline",
    )
    assert (placement.gpus, placement.node_selector, placement.toleration) == (
        4,
        ("gpu=a", "zone=b"),
        ("gpu:NoSchedule", "spot"),
    )
    assert connection.tracking_uri == "http://mlflow:5000"


def test_ours_wins_over_mlflows_variable(tmp_path: Path) -> None:
    environment = {"MLFLOW_TRACKING_URI": "http://a", "GAN_PIPELINE_CLUSTER_TRACKING_URI": "http://b"}
    assert read_settings({}, environment, tmp_path).connection.tracking_uri == "http://b"


@pytest.mark.parametrize(
    ("digest", "image", "expected"),
    [
        (f"sha256:{'a' * 64}", IMAGE, f"{IMAGE}@sha256:{'a' * 64}"),
        (f"sha256:{'a' * 64}", f"{IMAGE}@sha256:{'b' * 64}", f"{IMAGE}@sha256:{'a' * 64}"),
        (None, f"gan-pipeline@sha256:{'b' * 64}", f"gan-pipeline@sha256:{'b' * 64}"),
    ],
)
def test_a_digest_pins_the_image(digest: str | None, image: str, expected: str, tmp_path: Path) -> None:
    assert read_settings({"image": image, "image_digest": digest}, {}, tmp_path).placement().image == expected


@pytest.mark.parametrize(
    ("file", "environment", "words"),
    [
        (
            "[cluster]\nnamspace = 'a'",
            {},
            "unknown key of [cluster] in gan-pipeline.toml 'namspace': did you mean 'name",
        ),
        ("[cluster]\ntoken = 'a'", {}, "did you mean 'token_file'?"),
        ("[clutser]\nhost = 'a'", {}, "unknown section of gan-pipeline.toml 'clutser': did you mean 'cluster'?"),
        ("[cluster\n", {}, "gan-pipeline.toml cannot be read"),
        ("[cluster]\ngpus = 'many'", {}, "gpus in gan-pipeline.toml 'many': input should be a valid integer"),
        ("[cluster]\nhost = 5", {}, "host in gan-pipeline.toml 5: input should be a valid string"),
        ("[cluster]\nshm = '2 GB'", {}, "shm in gan-pipeline.toml '2 GB' is no size"),
        ("[cluster]\nmount = 'state'", {}, "mount in gan-pipeline.toml 'state': expected an absolute path"),
        ("[cluster]\nretries = 99", {}, "retries in gan-pipeline.toml 99"),
        ("[cluster]\nlabel = ['team']", {}, "label in gan-pipeline.toml 'team': expected label=value"),
        ("", {"GAN_PIPELINE_CLUSTER_HOTS": "a"}, "did you mean 'GAN_PIPELINE_CLUSTER_HOST'?"),
        ("", {"GAN_PIPELINE_CLUSTER_GPUS": "-1"}, "GAN_PIPELINE_CLUSTER_GPUS '-1'"),
        ("", {"MLFLOW_TRACKING_URI": "sqlite:///m.db"}, "MLFLOW_TRACKING_URI or GAN_PIPELINE_CLUSTER_TRACKING_URI"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(
    tmp_path: Path, file: str, environment: dict[str, str], words: str
) -> None:
    (tmp_path / "gan-pipeline.toml").write_text(file)
    with pytest.raises(RequestError) as refused:
        read_settings({"image": IMAGE}, environment, tmp_path).placement()
    assert words in str(refused.value)


def test_secrets_are_names_and_keys(tmp_path: Path) -> None:
    from pipeline.engines.cluster.placement import parse_secret

    flags: dict[str, Any] = {"image": IMAGE, "secret": ["mlflow", "s3:id=AWS_ACCESS_KEY_ID,AWS_REGION"]}
    first, second = map(parse_secret, read_settings(flags, {}, tmp_path).placement().secret)
    assert {"MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_PASSWORD"} < set(first[1])
    assert first[2]
    assert second == ("s3", {"id": "AWS_ACCESS_KEY_ID", "AWS_REGION": "AWS_REGION"}, False)

"""The 2015 Inception network: torch-fidelity's features to the bit, and where its weights come from."""

import hashlib
from pathlib import Path

import pytest
import torch
import torchvision
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from gan_models.errors import RequestError
from gan_models.metrics import inception
from gan_models.metrics.inception import PREPROCESSINGS, Inception2015, inception_file


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights in the layout of the real ones."""
    torch.manual_seed(0)
    network = torchvision.models.inception_v3(
        weights=None, num_classes=1008, aux_logits=False, init_weights=False, transform_input=False
    )
    path = tmp_path_factory.mktemp("weights") / "random.pth"
    torch.save(network.state_dict(), path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("size", [16, 299])
def test_equals_torch_fidelity_to_the_bit(weights: Path, size: int) -> None:
    images = torch.randint(0, 256, (2, size, size, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    reference = FeatureExtractorInceptionV3(
        "inception-v3-compat", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(weights)
    )
    with torch.inference_mode():
        features, logits = reference(images.permute(0, 3, 1, 2).contiguous())
    exact = Inception2015(weights, folded=False).features_and_logits(images)
    assert exact.logits is not None
    assert torch.equal(exact.features, features)
    assert torch.equal(exact.logits, logits)
    folded = Inception2015(weights).features_and_logits(images)
    assert (folded.features - features).norm() / features.norm() < 1e-5


@pytest.mark.slow
def test_other_preprocessings_end_in_the_same_network(weights: Path) -> None:
    """Of images that need no resizing, clean-fid's features are torch-fidelity's; StudioGAN's are of other inputs."""
    images = torch.randint(0, 256, (1, 299, 299, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    plain, clean, other = (
        Inception2015(weights, folded=False, preprocessing=name).features_and_logits(images)
        for name in ("tensorflow-1", "clean-fid", "studiogan")
    )
    assert torch.equal(plain.features, clean.features)
    assert plain.logits is not None
    assert clean.logits is not None
    assert torch.equal(plain.logits, clean.logits)
    # (x - 127.5) / 127.5 is what (x' - 128) / 128 is of x' = 128 x / 127.5: the first layer tells the two apart.
    assert 0 < (other.features - plain.features).norm() / plain.features.norm() < 0.1
    described = [Inception2015(weights, preprocessing=name).describe() for name in PREPROCESSINGS]
    assert len({one["resize"] for one in described}) == len(PREPROCESSINGS)
    with pytest.raises(RequestError, match="did you mean 'clean-fid'"):
        Inception2015(weights, preprocessing="cleanfid")


def test_a_file_with_the_right_hash_is_taken(weights: Path, tmp_path: Path) -> None:
    sha256 = hashlib.sha256(weights.read_bytes()).hexdigest()
    assert inception_file(str(weights), tmp_path, sha256) == weights


def test_a_given_file_that_is_not_the_network_is_refused(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"is not the 2015 Inception network \(SHA-256 .*expected 6726825d"):
        inception_file(str(weights), tmp_path)
    with pytest.raises(RequestError, match="there is no file"):
        inception_file(str(tmp_path / "absent.pth"), tmp_path)


def test_a_file_that_another_tool_downloaded_is_found(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(inception, "WEIGHTS_URL", "file:///nowhere")
    found = tmp_path / "hub" / "checkpoints" / "pt_inception-2015-12-05-6726825d.pth"
    found.parent.mkdir(parents=True)
    found.hardlink_to(weights)
    sha256 = hashlib.sha256(weights.read_bytes()).hexdigest()
    assert inception_file(None, tmp_path / "cache", sha256) == found


def test_is_downloaded_once_and_checked(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(inception, "WEIGHTS_URL", weights.as_uri())
    with pytest.raises(RequestError, match="arrived altered"):
        inception_file(None, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []
    sha256 = hashlib.sha256(weights.read_bytes()).hexdigest()
    downloaded = inception_file(None, tmp_path / "cache", sha256)
    monkeypatch.setattr(inception, "WEIGHTS_URL", "file:///nowhere")
    assert inception_file(None, tmp_path / "cache", sha256) == downloaded


def test_without_a_network_the_user_learns_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(inception, "WEIGHTS_URL", "http://127.0.0.1:9/weights.pth")
    with pytest.raises(RequestError, match=r"can't be downloaded .* pass --set evaluation.inception_weights=PATH"):
        inception_file(None, tmp_path / "cache")

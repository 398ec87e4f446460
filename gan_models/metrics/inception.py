"""The Inception network of 2015 that every published FID and IS is measured with, as torch-fidelity ports it.

Its 96 MB of weights are no part of any package. They are taken from a file the user names, from where torch-fidelity,
pytorch-fid or an earlier run left them, or downloaded; their SHA-256 is checked whichever way they came, and nothing in
them is unpickled but tensors.
"""

import hashlib
import io
import shutil
import urllib.request
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from gan_models.atomic import new_file
from gan_models.errors import RequestError, home_path, unknown_name
from gan_models.metrics.extraction import FeatureExtractor, fold_batch_norm
from gan_models.metrics.resizing import pillow_resized

FEATURES = 2048
WEIGHTS_URL = (
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth"
)
WEIGHTS_SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
# The same file under the names that torch-fidelity, and pytorch-fid and clean-fid, give it.
WEIGHTS_FILES = ("weights-inception-2015-12-05-6726825d.pth", "pt_inception-2015-12-05-6726825d.pth")
_REMEDY = (
    f"fetch {WEIGHTS_URL} where there is a network, and pass --set evaluation.inception_weights=PATH, "
    "or choose another evaluation.extractor"
)
_CONNECT_SECONDS = 20.0
_SIZE = 299


class Preprocessing(NamedTuple):
    """What becomes of images on their way into the network."""

    resize: str
    """As `describe` says it."""
    filter: str
    """Of Pillow; empty where the network resizes, as TensorFlow 1 did."""
    middle: float
    """x becomes (x - middle) / middle."""


PREPROCESSINGS = {
    "tensorflow-1": Preprocessing(f"bilinear as in TensorFlow 1, to {_SIZE}x{_SIZE}", "", 128.0),
    "clean-fid": Preprocessing(f"Pillow bicubic, antialiased, in float32, to {_SIZE}x{_SIZE}", "bicubic", 128.0),
    "studiogan": Preprocessing(f"Pillow bilinear, antialiased, in float32, to {_SIZE}x{_SIZE}", "bilinear", 127.5),
}
"""Of Heusel et al. 2017 and all that take TensorFlow's graph whole; Parmar, Zhang, Zhu 2022; Kang, Shin, Park 2023."""


class Inception2015(FeatureExtractor):
    """The extractor `inception-2015`: 2048 features, 1008 logits without bias (as the Inception Score uses them).

    Images are resized to 299x299, grey ones repeated to RGB.

    Args:
        weights: file of the weights, already checked (`inception_file`).
        preprocessing: one of `PREPROCESSINGS`; RequestError for another.
        folded: fold the batch norms into the convolutions: half as fast again, features off by 3e-7. Without, features
            are torch-fidelity's to the last bit.
    """

    name = "inception-2015"
    batch = 32
    takes_floats = False

    def __init__(
        self,
        weights: Path,
        device: torch.device | str = "cpu",
        *,
        folded: bool = True,
        preprocessing: str = "tensorflow-1",
    ) -> None:
        if preprocessing not in PREPROCESSINGS:
            raise unknown_name(f"preprocessing of {self.name}", preprocessing, PREPROCESSINGS)
        self._prepared = PREPROCESSINGS[preprocessing]
        details = {
            "weights_sha256": _sha256(weights),
            "features": FEATURES,
            "layer": "2048, logits_unbiased",
            "resize": self._prepared.resize,
            "input": f"(x - {self._prepared.middle:g}) / {self._prepared.middle:g}, grey repeated to RGB",
            "precision": "float32, batch norm folded" if folded else "float32",
        }
        super().__init__(details, device)
        network = _network(weights)
        if folded:
            _fold(network)
            network.to(memory_format=torch.channels_last)
        self._network = network.to(self.device)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        if not self._prepared.filter:
            pixels = images.permute(0, 3, 1, 2).expand(-1, 3, -1, -1)
            features, logits = self._network(pixels.contiguous())
            return features, logits
        resized = pillow_resized(images, _SIZE, self._prepared.filter).to(self.device)
        inputs = ((resized - self._prepared.middle) / self._prepared.middle).expand(-1, 3, -1, -1)
        return self._after_resizing(inputs.contiguous())

    def _after_resizing(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """What the network makes of inputs [B, 3, 299, 299] in about [-1, 1]: its layers, one after another."""
        found = inputs
        for name, layer in self._network.named_children():
            if name == "fc":
                break
            found = layer(found)
        features = found.flatten(1)
        return features, features @ self._network.get_parameter("fc.weight").T


def inception_file(given: str | None, cache: Path, sha256: str = WEIGHTS_SHA256) -> Path:
    """The file of the weights: the given one, one that is already on this machine, or a download into `cache`.

    Raises:
        RequestError: the given file is absent or not what it should be, or nothing can be downloaded; says what to do.
    """
    if given is not None:
        path = home_path(given)
        if not path.is_file():
            raise RequestError(f"evaluation.inception_weights: there is no file {path}; {_REMEDY}")
        if (found := _sha256(path)) != sha256:
            raise RequestError(
                f"evaluation.inception_weights: {path} is not the 2015 Inception network "
                f"(SHA-256 {found[:8]}..., expected {sha256[:8]}...); {_REMEDY}"
            )
        return path
    downloads = Path(torch.hub.get_dir()) / "checkpoints"
    for path in (folder / name for folder in (cache, downloads) for name in WEIGHTS_FILES):
        if path.is_file() and _sha256(path) == sha256:
            return path
    return _download(cache / WEIGHTS_FILES[0], sha256)


def _download(path: Path, sha256: str) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with urllib.request.urlopen(WEIGHTS_URL, timeout=_CONNECT_SECONDS) as answer, new_file(path) as partial:
            with partial.open("wb") as file:
                shutil.copyfileobj(answer, file)
            if (found := _sha256(partial)) != sha256:
                raise RequestError(
                    f"the 2015 Inception weights arrived altered (SHA-256 {found[:8]}..., expected {sha256[:8]}...); "
                    f"{_REMEDY}"
                )
    except OSError as error:  # URLError and time-outs are OSErrors, too
        raise RequestError(f"the 2015 Inception weights can't be downloaded ({error}); {_REMEDY}") from error
    return path


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _network(weights: Path) -> nn.Module:
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    # torch-fidelity unpickles what it is given, so it is given tensors that were loaded safely and written anew.
    safe = io.BytesIO()
    torch.save(torch.load(weights, map_location="cpu", weights_only=True), safe)
    safe.seek(0)
    network = FeatureExtractorInceptionV3(
        "inception-v3-compat", ["2048", "logits_unbiased"], feature_extractor_weights_path=safe
    )
    assert isinstance(network, nn.Module)
    return network


def _fold(network: nn.Module) -> None:
    for module in list(network.modules()):
        if isinstance(getattr(module, "bn", None), nn.BatchNorm2d):
            fold_batch_norm(module, "conv", "bn")

"""Real images small enough for unit tests: scikit-learn's 8x8 digits."""

import hashlib

import pytest
import torch
from sklearn.datasets import load_digits

from gan_models.data.table import Split, TableMetadata


@pytest.fixture(scope="session")
def digits() -> tuple[Split, TableMetadata]:
    data = load_digits()
    pixels = (data.images * (255 / 16)).round().astype("uint8")[..., None]
    metadata = TableMetadata(
        height=8,
        width=8,
        channels=1,
        class_names=tuple("0123456789"),
        counts={"train": {name: int((data.target == int(name)).sum()) for name in "0123456789"}},
        fingerprint=hashlib.sha256(pixels.tobytes()).hexdigest(),
        source="digits",
        options={},
    )
    labels = torch.from_numpy(data.target.astype("int64"))
    return Split(torch.from_numpy(pixels), labels, [str(index) for index in range(len(pixels))]), metadata

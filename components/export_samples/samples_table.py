"""`samples.parquet`: the images with what they were made from, in the convention of public data hubs."""

import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from torch import Tensor

from gan_models.sampling.generator import GeneratorInfo, Samples
from gan_models.sampling.grids import as_image
from gan_models.tasks.text import captions_of

_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def write_table(samples: Samples, info: GeneratorInfo, path: Path, folder: str) -> None:
    """One row for each sample: `image`, and of the following what there is.

    `source` (the image it was made from), `label` (asked for, or of that image), `domain` (asked for), `attributes`
    (likewise, their names in the metadata), `caption`, `latent`. Pixels are PNG; `folder`, beside `path`, holds the
    images as files of their own.
    """
    files = sorted((path.parent / folder).iterdir())
    images = [{"bytes": file.read_bytes(), "path": f"{folder}/{file.name}"} for file in files]
    columns = {"image": pa.array(images, _IMAGE)}
    features: dict[str, object] = {"image": {"_type": "Image"}}
    inputs = samples.inputs
    if "images" in inputs and samples.sources is not None:
        columns["source"] = pa.array([{"bytes": _png(image), "path": None} for image in samples.sources], _IMAGE)
        features["source"] = {"_type": "Image"}
    for name, numbers, names in (
        ("label", samples.labels, info.class_names),
        ("domain", inputs.get("domains"), info.domain_names),
    ):
        if numbers is not None:
            columns[name] = pa.array(numbers.tolist(), pa.int64())
            features[name] = {"_type": "ClassLabel", "names": list(names)}
    if "attributes" in inputs:
        columns["attributes"] = pa.array(inputs["attributes"].bool().tolist(), pa.list_(pa.bool_()))
        features["attributes"] = {"_type": "Sequence", "feature": {"_type": "Value", "dtype": "bool"}}
    if "captions" in inputs:
        columns["caption"] = pa.array(captions_of(inputs["captions"], info), pa.string())
        features["caption"] = {"_type": "Value", "dtype": "string"}
    for name, vectors in (("embedding", inputs.get("embeddings")), ("latent", inputs.get("latents"))):
        if vectors is not None:
            columns[name] = pa.array(vectors.tolist(), pa.list_(pa.float32()))
            features[name] = {"_type": "Sequence", "feature": {"_type": "Value", "dtype": "float32"}}
    hub: dict[str, Any] = {"info": {"features": features}}
    metadata = {"huggingface": json.dumps(hub), "classes": ",".join(info.class_names)}
    metadata |= {"attribute_names": ",".join(info.attribute_names)} if info.attribute_names else {}
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns).replace_schema_metadata(metadata), buffer, compression="zstd")
    path.write_bytes(buffer.getvalue())


def _png(image: Tensor) -> bytes:
    buffer = io.BytesIO()
    as_image(image.numpy()).save(buffer, "png")
    return buffer.getvalue()

"""A user's own network as an extractor: what it is fed, what is taken from it, and what is refused."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from gan_models.data.table import ImageTable
from gan_models.errors import RequestError
from gan_models.metrics.choice import check_evaluation, check_extractor, choose_extractor
from gan_models.metrics.judge import Judge
from gan_models.metrics.metric import Comparison
from gan_models.metrics.onnx_extractor import OnnxExtractor
from gan_models.metrics.scores import figure_of, score
from gan_models.recipes import load_recipe
from gan_models.recipes.schema import Evaluation

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a network: its features are the mean of each channel, its logits twice that."""

    def write(
        metadata: Mapping[str, str] | None = None,
        shape: tuple[object, ...] = ("N", 3, "H", "W"),
        outputs: tuple[str, ...] = ("features", "logits"),
        keepdims: int = 0,
        axes: tuple[int, ...] = (2, 3),
        scale: float = 2.0,
        name: str = "network.onnx",
    ) -> Path:
        make = onnx.helper
        nodes = [make.make_node("ReduceMean", ["pixels", "axes"], [outputs[0]], keepdims=keepdims)]
        held = [onnx.numpy_helper.from_array(np.array(axes, np.int64), "axes")]
        for output in outputs[1:]:
            nodes.append(make.make_node("Mul", [outputs[0], "scale"], [output]))
            held = [*held[:1], onnx.numpy_helper.from_array(np.array(scale, np.float32), "scale")]
        rank = 4 if keepdims else 4 - len(axes)
        graph = make.make_graph(
            nodes,
            "means",
            [make.make_tensor_value_info("pixels", onnx.TensorProto.FLOAT, shape)],
            [make.make_tensor_value_info(one, onnx.TensorProto.FLOAT, [None] * rank) for one in outputs],
            held,
        )
        model = make.make_model(graph, opset_imports=[make.make_opsetid("", 18)], ir_version=9)
        make.set_model_props(model, dict(metadata or {}))
        onnx.save(model, tmp_path / name)
        return tmp_path / name

    return write


def images(count: int = 5, side: int = 6, channels: int = 3) -> Tensor:
    draw = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, side, side, channels), generator=draw).to(torch.uint8)


def test_features_and_logits_of_a_network(write: Write) -> None:
    found = OnnxExtractor(write()).features_and_logits(images(70))
    expected = images(70).float().mean(dim=(1, 2)) / 255
    torch.testing.assert_close(found.features, expected)
    assert found.logits is not None
    torch.testing.assert_close(found.logits, 2 * expected)


def test_the_file_says_what_it_expects_of_pixels(write: Write) -> None:
    said = {"size": "4", "range": "-1, 1", "mean": "0.5, 0.25, 0", "std": "2", "resize": "area", "author": "x"}
    network = OnnxExtractor(write({f"gan_pipeline.{k}" if k != "author" else k: v for k, v in said.items()}))
    found = network.features_and_logits(images(side=8)).features
    expected = ((images(side=8).float() / 127.5 - 1).mean(dim=(1, 2)) - torch.tensor([0.5, 0.25, 0.0])) / 2
    torch.testing.assert_close(found, expected)
    assert network.describe()["input"] == {
        "channels": 3, "size": 4, "resize": "area", "range": [-1.0, 1.0], "mean": [0.5, 0.25, 0.0], "std": [2.0]
    }  # fmt: skip


def test_images_are_resized_to_a_fixed_input_and_grey_ones_repeated(write: Write) -> None:
    network = OnnxExtractor(write(shape=("N", 3, 12, 12)))
    grey = torch.full((3, 6, 6, 1), 51, dtype=torch.uint8)
    torch.testing.assert_close(network.features_and_logits(grey).features, torch.full((3, 3), 0.2))
    assert network.describe()["input"]["size"] == 12


@pytest.mark.parametrize("count", [1, 3, 4, 9])
def test_a_fixed_batch_is_filled_up(write: Write, count: int) -> None:
    found = OnnxExtractor(write(shape=(4, 3, 6, 6))).features_and_logits(images(count))
    torch.testing.assert_close(found.features, images(count).float().mean(dim=(1, 2)) / 255)
    assert found.logits is not None
    assert len(found.logits) == count


def test_which_output_is_which(write: Write) -> None:
    alone = OnnxExtractor(write(outputs=("anything",), keepdims=1)).features_and_logits(images())
    assert (alone.features.shape, alone.logits) == ((5, 3), None)  # [N, C, 1, 1]
    swapped = OnnxExtractor(write(outputs=("logits", "features"))).features_and_logits(images())
    torch.testing.assert_close(swapped.features, 2 * swapped.logits)
    second = OnnxExtractor(write(outputs=("pooled", "classes"))).features_and_logits(images())
    torch.testing.assert_close(second.logits, 2 * second.features)


def test_figures_of_different_files_bear_different_names(write: Write, table: ImageTable, cache: Path) -> None:
    found = []
    for scale in (2.0, 3.0):
        file = write(shape=("N", 1, 8, 8), axes=(2,), outputs=("features", "logits"), keepdims=0, scale=scale)
        with pytest.raises(RequestError, match="must be"):
            OnnxExtractor(file)  # rank 3
        file = write(shape=("N", 1, 8, 8), axes=(1, 2), scale=scale)
        judge = Judge.for_table(table, Evaluation(extractor=f"onnx:{file}"), cache=cache)
        found.append(judge.key("FD"))
        real = judge.real("test", 100)
        assert real.features.shape == (100, 8)
        figures = score(Comparison(judge.real("train", 100), real))
        assert {"FD", "IS"} <= set(figures)
        assert "judged by onnx-" in judge.sentence()
        assert not judge.knows_classes
        assert figure_of("FD", found) == found[0]
        assert str(file.parent) not in str(judge.extractor.describe())
    assert found[0] != found[1]
    assert all(name.startswith("FD-onnx-") for name in found)


@pytest.mark.parametrize(
    ("metadata", "shape", "message"),
    [
        ({}, ("N", 3, "H"), "must take one float32"),
        ({}, ("N", 4, 8, 8), "1 or 3 channels"),
        ({}, ("N", 3, 8, 9), "square images"),
        ({"gan_pipeline.sise": "4"}, ("N", 3, "H", "W"), "hold 'gan_pipeline.sise', and only size, resize"),
        ({"gan_pipeline.size": "four"}, ("N", 3, "H", "W"), "size must be 1 numbers"),
        ({"gan_pipeline.size": "4"}, ("N", 3, 8, 8), "size is 4, and the network takes 8"),
        ({"gan_pipeline.mean": "1, 2"}, ("N", 3, 8, 8), "mean must be 1 or 3 numbers"),
        ({"gan_pipeline.std": "0"}, ("N", 3, 8, 8), "std be above 0"),
        ({"gan_pipeline.range": "1, 0"}, ("N", 3, 8, 8), "range must rise"),
        ({"gan_pipeline.resize": "lanczos"}, ("N", 3, 8, 8), "one of bilinear, bicubic, nearest, area"),
    ],
)
def test_a_file_that_is_no_such_network_is_refused_with_a_sentence(
    write: Write, metadata: dict[str, str], shape: tuple[object, ...], message: str
) -> None:
    axes = (1, 2) if len(shape) == 3 else (2, 3)
    with pytest.raises(RequestError, match=message):
        OnnxExtractor(write(metadata, shape, axes=axes))


def test_other_faults_are_sentences_too(write: Write, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="there is no file"):
        OnnxExtractor(tmp_path / "absent.onnx")
    (tmp_path / "text.onnx").write_text("weights")
    with pytest.raises(RequestError, match="no network in ONNX"):
        OnnxExtractor(tmp_path / "text.onnx")
    with pytest.raises(RequestError, match="holds NaN or infinite"):
        OnnxExtractor(write(scale=float("inf")))
    with pytest.raises(RequestError, match="takes grey images, and these have colours"):
        OnnxExtractor(write(shape=("N", 1, "H", "W"))).features_and_logits(images())


def test_a_request_is_checked_before_anything_is_prepared(write: Write, table: ImageTable) -> None:
    file = write()
    check_evaluation(Evaluation(extractor=f"onnx:{file}"))
    assert choose_extractor(f"onnx:{file}", table.metadata) == ("onnx", "as requested", str(file))
    for wrong, message in (
        ("onnx", "write onnx:PATH"),
        ("onnx:", "write onnx:PATH"),
        ("classifier:x", "classifier takes no file"),
        ("onix:x", "did you mean 'onnx'"),
    ):
        with pytest.raises(RequestError, match=message):
            check_extractor(wrong)
    with pytest.raises(RequestError, match="there is no file"):
        check_evaluation(Evaluation(extractor=f"onnx:{file}.gone"))
    recipe = load_recipe("dcgan", [f"evaluation.extractor=onnx:{file}"])
    assert recipe.model_dump(mode="json")["evaluation"]["extractor"] == f"onnx:{file}"
    with pytest.raises(RequestError, match=r"'onnx:PATH'.*did you mean 'classifier'"):
        load_recipe("dcgan", ["evaluation.extractor=clasifier"])

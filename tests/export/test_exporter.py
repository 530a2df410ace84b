"""Exported models, which predict what the Keras model predicts."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from pipeline.errors import ModelError, UsageError
from pipeline.export import onnx, openvino, saved_model
from pipeline.export.exporter import export_model
from pipeline.export.float32_clone import clone_in_float32
from pipeline.export.formats import FORMATS
from pipeline.inference.classifier import Classifier, load_classifier
from pipeline.inference.model_interface import load_interface


@pytest.fixture(scope="module")
def classifier(digits_model: Path) -> Classifier:
    return load_classifier(digits_model)


@pytest.fixture(scope="module")
def images(classifier: Classifier, digit_files: Path) -> np.ndarray:
    return np.stack([classifier.interface.read(path) for path in sorted(digit_files.iterdir())])


@pytest.mark.parametrize("name", FORMATS)
def test_every_digit_gets_the_class_of_the_keras_model(
    digits_model: Path, images: np.ndarray, tmp_path: Path, name: str
) -> None:
    classifier = load_classifier(digits_model)  # one that was never called
    for module in FORMATS[name].REQUIREMENTS:
        pytest.importorskip(module)
    result = export_model(classifier, name, tmp_path, images)
    assert (result.same_labels, result.images, result.agrees) == (100, 100, True)
    assert result.max_difference < 1e-5
    assert result.path.exists()
    assert result.size > 10_000
    assert load_interface(tmp_path) == classifier.interface


def test_an_onnx_model_has_no_input_but_pixels(tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    pixels = keras.Input((16, 16, 3), name="pixels")
    x = keras.layers.Conv2D(4, 3)(keras.applications.resnet.preprocess_input(pixels))
    output = keras.layers.Softmax()(keras.layers.GlobalAveragePooling2D()(x))
    model = keras.Model(pixels, output)
    model.predict_on_batch(np.zeros((1, 16, 16, 3)))
    onnx.write(model, tmp_path / "model.onnx")
    session = runtime.InferenceSession(tmp_path / "model.onnx")
    assert [each.name for each in session.get_inputs()] == ["pixels"]


def test_an_openvino_model_has_no_output_but_probabilities(tmp_path: Path) -> None:
    runtime = pytest.importorskip("openvino")
    pixels = keras.Input((16, 16, 3), name="pixels")
    # The custom gradient of SiLU, and attention, have tensors that nothing uses.
    x = keras.layers.Reshape((-1, 4))(keras.layers.Conv2D(4, 3, activation="silu")(pixels))
    x = keras.layers.GlobalAveragePooling1D()(keras.layers.MultiHeadAttention(2, 2)(x, x))
    model = keras.Model(pixels, keras.layers.Dense(3, activation="softmax")(x))
    path = tmp_path / openvino.FILE_NAME
    openvino.write(model, path)
    exported = runtime.Core().read_model(path)
    assert [sorted(each.names) for each in exported.inputs] == [["pixels"]]
    assert [list(each.partial_shape)[1:] for each in exported.outputs] == [[3]]
    images = np.random.default_rng(0).uniform(0, 255, (2, 16, 16, 3)).astype(np.float32)
    np.testing.assert_allclose(
        openvino.load(path)(images), model.predict_on_batch(images), atol=1e-5
    )


def test_a_model_that_predicts_other_classes_does_not_agree(
    classifier: Classifier, images: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = keras.models.clone_model(classifier.model)
    broken.set_weights([weights[..., ::-1] for weights in classifier.model.get_weights()])
    write = saved_model.write
    monkeypatch.setattr(saved_model, "write", lambda model, path: write(broken, path))
    result = export_model(classifier, "saved_model", tmp_path, images)
    assert result.same_labels < 50
    assert result.max_difference > 0.5
    assert not result.agrees


def test_an_error_of_a_converter_is_reported_in_one_line(
    classifier: Classifier, images: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(model: keras.Model, path: Path) -> None:
        raise RuntimeError("no such operation\nand where")

    monkeypatch.setattr(saved_model, "write", fail)
    with pytest.raises(ModelError) as caught:
        export_model(classifier, "saved_model", tmp_path, images)
    assert str(caught.value) == (
        "The model cannot be exported as saved_model: RuntimeError: no such operation"
    )


def test_a_directory_that_cannot_be_created_is_told(
    classifier: Classifier, images: np.ndarray, tmp_path: Path
) -> None:
    (tmp_path / "exports").touch()
    directory = tmp_path / "exports" / "keras"
    with pytest.raises(UsageError) as caught:
        export_model(classifier, "keras", directory, images)
    assert str(caught.value) == f"{directory} cannot be written: Not a directory."


def test_a_mixed_precision_model_is_converted_to_float32(classifier: Classifier) -> None:
    assert clone_in_float32(classifier.model) is classifier.model
    inner = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, dtype="mixed_float16")])
    pixels = keras.Input((4,))
    mixed = keras.Model(pixels, keras.layers.Softmax(dtype="float32")(inner(pixels)))
    exact = clone_in_float32(mixed)
    assert {layer.compute_dtype for layer in exact._flatten_layers()} == {"float32"}
    x = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    np.testing.assert_allclose(exact(x), mixed(x), atol=0.02)

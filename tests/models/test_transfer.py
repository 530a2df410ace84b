"""Transfer learning with real ImageNet weights."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from pipeline.data.image_decoding import Decoding, decode_image
from pipeline.errors import ModelError
from pipeline.models import transfer
from pipeline.models.layers import OutputLayer
from pipeline.models.regularization import RegularizationConfig

SIZE = (96, 96)


def built(base: object = "MobileNetV2", weights: object = None, **keys: object) -> keras.Model:
    return transfer.TransferConfig(
        architecture="transfer", base=base, weights=weights, **keys
    ).build(
        input_shape=(*SIZE, 3),
        output=OutputLayer(2, "softmax"),
        regularization=RegularizationConfig(dropout=0.3),
        standardize=keras.layers.Rescaling(1 / 255),
    )


@pytest.fixture(scope="module")
def with_mobilenet(weights: Path) -> keras.Model:
    return built(weights=weights / "mobilenet_v2_imagenet_notop.weights.h5")


@pytest.fixture
def photograph(photographs: Path) -> np.ndarray:
    file = photographs / "val" / "bees" / "1032546534_06907fe3b3.jpg"
    return decode_image(file.read_bytes(), Decoding(SIZE, "crop"))[np.newaxis]


def test_each_family_has_its_own_preprocessing(
    with_mobilenet: keras.Model, photograph: np.ndarray
) -> None:
    prepared = keras.applications.mobilenet_v2.preprocess_input(photograph.astype("float32"))
    base = transfer.base_of(with_mobilenet)
    expected = np.asarray(base(prepared, training=False)).mean(axis=(1, 2))
    features = keras.Model(with_mobilenet.input, with_mobilenet.get_layer("features").output)
    np.testing.assert_allclose(np.asarray(features(photograph)), expected, rtol=1e-4, atol=1e-5)


def test_the_base_is_frozen_and_the_head_is_not(with_mobilenet: keras.Model) -> None:
    assert [weight.path for weight in with_mobilenet.trainable_variables] == [
        "output/kernel",
        "output/bias",
    ]


def test_a_saved_model_gives_the_same_predictions(
    with_mobilenet: keras.Model, photograph: np.ndarray, tmp_path: Path
) -> None:
    with_mobilenet.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(
        np.asarray(loaded(photograph)), np.asarray(with_mobilenet(photograph))
    )


def test_a_keras_file_is_a_base(weights: Path, photograph: np.ndarray) -> None:
    model = built(weights / "resnet18_imagenet.keras")
    assert model(photograph).shape == (1, 2)
    assert model.get_layer("features").output.shape == (None, 512)


def test_hidden_layers_come_before_the_output() -> None:
    assert [layer.units for layer in built(hidden=[32, 16]).layers if hasattr(layer, "units")] == [
        32,
        16,
        2,
    ]


def test_grayscale_images_become_rgb() -> None:
    model = transfer.TransferConfig(
        architecture="transfer", base="MobileNetV2", weights=None
    ).build(
        input_shape=(32, 32, 1),
        output=OutputLayer(10, "softmax"),
        regularization=RegularizationConfig(),
        standardize=keras.layers.Rescaling(1 / 255),
    )
    assert model(np.zeros((1, 32, 32, 1))).shape == (1, 10)


@pytest.mark.parametrize(
    ("start", "first"),
    [("block_16_project", "block_16_project"), ("block_16", "block_16_expand"), (1, "out_relu")],
)
def test_the_base_is_trainable_from_the_named_layer_on(start: str | int, first: str) -> None:
    model = built()
    learning = transfer.unfreeze(model, transfer.layer_index(model, start), batch_norm=False)
    base = transfer.base_of(model)
    assert next(layer.name for layer in base.layers if layer.trainable) == first
    assert learning == sum(int(np.prod(weight.shape)) for weight in base.trainable_variables)


@pytest.mark.parametrize("batch_norm", [False, True], ids=["frozen", "trained"])
def test_batch_normalization_is_in_inference_mode_during_fine_tuning_unless_it_is_trained(
    photograph: np.ndarray, batch_norm: bool
) -> None:
    model = built()
    transfer.unfreeze(model, transfer.layer_index(model, "block_16"), batch_norm=batch_norm)
    norm = transfer.base_of(model).get_layer("block_16_project_BN")
    before = np.asarray(norm.moving_mean)
    model(photograph, training=True)
    assert np.any(np.asarray(norm.moving_mean) != before) == batch_norm
    assert norm.gamma.trainable == batch_norm


def test_a_frozen_base_gives_the_same_features_while_the_head_trains(
    photograph: np.ndarray,
) -> None:
    model = built("EfficientNetB0")  # its blocks end in dropout
    features = keras.Model(model.input, model.get_layer("features").output)
    np.testing.assert_array_equal(
        np.asarray(features(photograph, training=True)),
        np.asarray(features(photograph, training=False)),
    )


def test_a_base_that_learns_has_its_batch_normalization_and_its_dropout(
    photograph: np.ndarray,
) -> None:
    model = built("EfficientNetB0", train_base=True)
    base = transfer.base_of(model)
    assert len(base.trainable_variables) == len(model.trainable_variables) - 2
    dropout = [layer.rate for layer in base.layers if isinstance(layer, keras.layers.Dropout)]
    assert min(dropout) > 0
    norm = base.get_layer("stem_bn")
    before = np.asarray(norm.moving_mean)
    model(photograph, training=True)
    assert np.any(np.asarray(norm.moving_mean) != before)


def test_fine_tuning_enables_the_dropout_of_the_layers_that_learn() -> None:
    model = built("EfficientNetB0")
    base = transfer.base_of(model)
    transfer.unfreeze(model, transfer.layer_index(model, "block6d"), batch_norm=False)
    rates = {
        layer.name: round(layer.rate, 3)
        for layer in base.layers
        if isinstance(layer, keras.layers.Dropout) and layer.rate
    }
    assert rates == {"block6d_drop": 0.175}


def test_each_layer_that_is_fine_tuned_learns_slower_than_the_one_after_it() -> None:
    model = built()
    transfer.unfreeze(model, transfer.layer_index(model, "block_16_depthwise"), batch_norm=True)
    rates = [(weight.path, rate) for weight, rate in transfer.layer_rates(model, 0.5)]
    assert [(path.split("/")[-2], rate) for path, rate in rates if path.endswith("kernel")] == [
        ("Conv_1", 0.5),
        ("block_16_project", 0.25),
        ("block_16_depthwise", 0.125),
    ]
    assert {rate for path, rate in rates if "block_16_project_BN" in path} == {0.25}
    assert len(rates) == len(transfer.base_of(model).trainable_weights)


def test_the_error_of_an_unknown_layer_suggests_the_nearest() -> None:
    with pytest.raises(ModelError) as caught:
        transfer.layer_index(built(), "block_16_projct")
    assert str(caught.value) == (
        "training.fine_tune.from: mobilenetv2_1.00_96 has no layer or stage 'block_16_projct'. "
        "Did you mean 'block_16_project'? The last layers with weights: "
        "block_16_expand, block_16_expand_BN, block_16_depthwise, block_16_depthwise_BN, "
        "block_16_project, block_16_project_BN, Conv_1, Conv_1_bn."
    )


def test_fine_tuning_without_weights_to_train_is_an_error() -> None:
    model = built()
    transfer.check_fine_tuning(model, "Conv_1", batch_norm=False)
    transfer.check_fine_tuning(model, "Conv_1_bn", batch_norm=True)
    with pytest.raises(ModelError) as caught:
        transfer.check_fine_tuning(model, "Conv_1_bn", batch_norm=False)
    assert str(caught.value) == (
        "training.fine_tune.from: mobilenetv2_1.00_96 has no weights to train from 'Conv_1_bn' on. "
        "The last layers with weights to train: block_14_project, block_15_expand, "
        "block_15_depthwise, block_15_project, block_16_expand, block_16_depthwise, "
        "block_16_project, Conv_1."
    )


def test_weights_of_another_network_are_rejected(weights: Path) -> None:
    path = weights / "mobilenet_v2_imagenet_notop.weights.h5"
    with pytest.raises(ModelError) as caught:
        built("ResNet50", path)
    assert str(caught.value).startswith(
        f"model.weights: {path} does not fit ResNet50 without its top. "
    )


def test_a_file_that_is_not_a_model_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "base.keras"
    path.write_text("not a model")
    with pytest.raises(ModelError) as caught:
        built(path)
    assert str(caught.value).startswith(f"model.base: {path} cannot be loaded as a Keras model. ")


def test_a_model_file_that_would_run_code_is_rejected(tmp_path: Path) -> None:
    pixels = keras.Input((*SIZE, 3))
    code = keras.layers.Lambda(lambda x: x + 1, output_shape=(*SIZE, 3))
    path = tmp_path / "hostile.keras"
    keras.Model(pixels, code(pixels)).save(path)
    with pytest.raises(ModelError) as caught:
        built(path)
    assert "lambda" in str(caught.value).lower()


def test_a_base_for_another_image_size_is_rejected(tmp_path: Path) -> None:
    pixels = keras.Input((64, 64, 3))
    path = tmp_path / "base.keras"
    keras.Model(pixels, keras.layers.Conv2D(4, 3)(pixels)).save(path)
    with pytest.raises(ModelError) as caught:
        built(path)
    assert str(caught.value) == (
        f"model.base: {path} takes images of shape (64, 64, 3). Received: (96, 96, 3). "
        "Change data.image_size."
    )


def test_a_failed_download_names_the_file_and_the_two_ways_to_provide_it() -> None:
    address = "https://storage.googleapis.com/tensorflow/keras-applications/resnet/weights.h5"
    message = transfer.missing_weights_message("ResNet50", f"URL fetch failure on {address}: None")
    assert message == (
        "model.weights: the ImageNet weights of ResNet50 could not be downloaded: the file "
        f"weights.h5 is missing. Download {address} on another machine and copy it to "
        "~/.keras/models/, or set model.weights to its path. "
        f"(URL fetch failure on {address}: None)"
    )

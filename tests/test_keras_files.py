"""Model files from untrusted sources: unsafe ones are rejected, and their code does not run."""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py  # type: ignore[import-untyped]
import keras
import numpy as np
import pytest
from keras.src.utils import python_utils

from pipeline import keras_files
from pipeline.errors import ModelError

Config = dict[str, Any]
PIXELS = np.ones((1, 8, 8, 3), np.float32)
RULE = "A model file may only contain Keras layers and weights, no code and no other files."


def network() -> keras.Model:
    pixels = keras.Input((8, 8, 3))
    x = keras.applications.resnet.preprocess_input(pixels)
    x = keras.layers.RandomFlip()(keras.ops.relu(x))
    x = keras.layers.Conv2D(4, 3, kernel_regularizer="l2", kernel_constraint="max_norm")(x)
    x = keras.layers.BatchNormalization(dtype="mixed_float16")(x)
    return keras.Model(pixels, keras.layers.Dense(2, "gelu", name="head")(x))


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("saved") / "network.keras"
    network().save(path)
    return path


@pytest.fixture
def rewritten(saved: Path, tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes the saved model with some of its files changed."""

    def write(**changed: bytes | None) -> Path:
        path = tmp_path / "hostile.keras"
        with zipfile.ZipFile(saved) as source, zipfile.ZipFile(path, "w") as target:
            for name in source.namelist():
                key = name.partition(".")[0]
                target.writestr(name, changed.get(key, source.read(name)) or b"")
        return path

    return write


@pytest.fixture
def with_head(saved: Path, rewritten: Callable[..., Path]) -> Callable[[Callable], Path]:
    """Return a function that writes the model with the configuration of its last layer changed."""

    def write(change: Callable[[Config], None]) -> Path:
        with zipfile.ZipFile(saved) as archive:
            config = json.loads(archive.read("config.json"))
        change(next(x for x in config["config"]["layers"] if x["config"]["name"] == "head"))
        return rewritten(config=json.dumps(config).encode())

    return write


def error_of(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        keras_files.load_keras_file(path)
    return str(caught.value)


def test_a_model_of_keras_layers_is_loaded(saved: Path) -> None:
    expected = keras.saving.load_model(saved, compile=False)(PIXELS)
    np.testing.assert_array_equal(keras_files.load_keras_file(saved)(PIXELS), expected)


def test_a_compiled_model_is_loaded_without_its_optimizer(tmp_path: Path) -> None:
    model = network()
    model.compile("adam", "mse", metrics=["accuracy"])
    model.save(tmp_path / "model.keras")
    assert not keras_files.load_keras_file(tmp_path / "model.keras").compiled


def test_a_lambda_layer_is_rejected_and_not_run(tmp_path: Path) -> None:
    proof = tmp_path / "it_ran"
    pixels = keras.Input((8, 8, 3))
    code = keras.layers.Lambda(
        lambda x, path=str(proof): open(path, "w") and x,  # noqa: PTH123, SIM115
        output_shape=(8, 8, 3),
        name="code",
    )
    path = tmp_path / "hostile.keras"
    keras.Model(pixels, code(pixels)).save(path)
    proof.unlink(missing_ok=True)
    assert error_of(path) == (
        f"{path} is unsafe: the layer 'code' is a Lambda, which contains or loads code. {RULE}"
    )
    assert not proof.exists()


def object_of(name: str, module: str | None, **keys: Any) -> Config:
    return {"class_name": name, "module": module, "config": {}, "registered_name": None, **keys}


def as_activation(value: Config) -> Callable[[Config], None]:
    def change(head: Config) -> None:
        head["config"]["activation"] = value

    return change


def as_the_layer(**keys: Any) -> Callable[[Config], None]:
    return lambda head: head.update(keys)


CODE = python_utils.func_dump(lambda x: x)
HOSTILE: dict[str, tuple[Callable[[Config], None], str]] = {
    "lambda": (
        as_activation(object_of("__lambda__", "builtins", config={"value": CODE})),
        "the layer 'head' contains a Python lambda",
    ),
    "class of another module": (
        as_activation(object_of("Popen", "subprocess", config={"args": "true"})),
        "the layer 'head' needs 'Popen' from the module 'subprocess'",
    ),
    "function of another module": (
        as_activation(object_of("function", "os", config="system")),
        "the layer 'head' needs 'system' from the module 'os'",
    ),
    "function of keras that is no part of a network": (
        as_activation(object_of("function", "keras.utils", config="get_file")),
        "the layer 'head' needs 'get_file' from the module 'keras.utils'",
    ),
    "inside of keras that is no part of a network": (
        as_activation(object_of("Archive", "keras.src.saving.saving_lib")),
        "the layer 'head' needs 'Archive' from the module 'keras.src.saving.saving_lib'",
    ),
    "module that only begins as keras": (
        as_activation(object_of("Layer", "keras_hub.models")),
        "the layer 'head' needs 'Layer' from the module 'keras_hub.models'",
    ),
    "registered object": (
        as_the_layer(module=None, registered_name="mine>Payload"),
        "the layer 'head' needs 'Dense' registered as 'mine>Payload'",
    ),
    "registered object under the name of a layer": (
        as_the_layer(registered_name="mine>Payload"),
        "the layer 'head' is registered as 'mine>Payload' but called 'Dense'",
    ),
    "type": (
        as_activation(object_of("__typespec__", "os", spec_name="PathLike", config=[])),
        "the layer 'head' needs '__typespec__' from the module 'os'",
    ),
    "saved model": (
        as_the_layer(class_name="TFSMLayer", config={"name": "head", "filepath": "/x"}),
        "the layer 'head' is a TFSMLayer, which contains or loads code",
    ),
    "pickled module": (
        as_the_layer(class_name="TorchModuleWrapper"),
        "the layer 'head' is a TorchModuleWrapper, which contains or loads code",
    ),
    "vocabulary in a file": (
        as_the_layer(
            class_name="StringLookup", config={"name": "head", "vocabulary": "/etc/passwd"}
        ),
        "the layer 'head' reads the file '/etc/passwd'",
    ),
    "vocabulary at an address": (
        as_the_layer(
            class_name="TextVectorization", config={"name": "head", "vocabulary": "http://x/y"}
        ),
        "the layer 'head' reads the file 'http://x/y'",
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_unsafe_objects_are_rejected_by_name(
    with_head: Callable[[Callable], Path], monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    change, finding = HOSTILE[case]
    path = with_head(change)
    monkeypatch.setattr(keras.saving, "load_model", lambda *_, **__: pytest.fail("it was loaded"))
    assert error_of(path) == f"{path} is unsafe: {finding}. {RULE}"


def test_a_name_that_is_not_a_keras_function_is_rejected(
    with_head: Callable[[Callable], Path],
) -> None:
    path = with_head(as_activation(object_of("function", "builtins", config="eval")))
    assert error_of(path).startswith(f"{path} cannot be loaded as a Keras model. ")


@pytest.mark.parametrize("name", ["../evil.txt", "/tmp/evil.txt", "assets\\..\\..\\evil.txt"])
def test_a_file_outside_the_directory_is_rejected(
    rewritten: Callable[..., Path], name: str
) -> None:
    path = rewritten()
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, "evil")
    assert error_of(path) == (
        f"{path} is unsafe: {name!r} would be written outside its directory. {RULE}"
    )


def test_a_link_in_the_file_is_rejected(rewritten: Callable[..., Path]) -> None:
    path = rewritten()
    link = zipfile.ZipInfo("assets")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(link, "/etc")
    assert error_of(path).startswith(f"{path} is unsafe: 'assets' would be written outside")


def test_a_configuration_that_is_too_large_is_not_read(rewritten: Callable[..., Path]) -> None:
    path = rewritten(config=b" " * (64 * 2**20 + 1))
    assert error_of(path) == (
        f"{path} is unsafe: its config.json has 67,108,865 bytes, more than any model needs. {RULE}"
    )


@pytest.mark.parametrize(
    "config", [b"[" * 100_000, b"{", b"", b"7", b"[]"], ids=["deep", "half", "empty", "7", "list"]
)
def test_the_error_of_a_broken_configuration_is_one_line(
    rewritten: Callable[..., Path], config: bytes
) -> None:
    path = rewritten(config=config)
    message = error_of(path)
    assert message.startswith(f"{path} cannot be loaded as a Keras model. ")
    assert "\n" not in message


def test_a_model_with_missing_weights_is_rejected(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(*_: Any, **__: Any) -> None:
        warnings.warn("Affected layers will retain their freshly-initialized weights", stacklevel=2)

    monkeypatch.setattr(keras.saving, "load_model", load)
    assert error_of(saved) == (
        f"{saved} has no weights for some of its layers. "
        "Affected layers will retain their freshly-initialized weights"
    )


def weights_with(saved: Path, change: Callable[[h5py.Group], None]) -> bytes:
    """Return the weights of the model with the kernel of its head replaced by `change`."""
    with zipfile.ZipFile(saved) as archive:
        file = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(file, "r+") as weights:
        group = weights["layers/dense/vars"]
        del group["0"]
        change(group)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["external link", "soft link", "external data", "virtual data"])
def test_weights_in_other_files_are_rejected(
    saved: Path, rewritten: Callable[..., Path], tmp_path: Path, kind: str
) -> None:
    other = tmp_path / "secret.h5"
    with h5py.File(other, "w") as secret:
        secret["kernel"] = np.ones((4, 2), np.float32)

    def change(group: h5py.Group) -> None:
        if kind == "external link":
            group["0"] = h5py.ExternalLink(str(other), "/kernel")
        elif kind == "soft link":
            group["0"] = h5py.SoftLink("/layers/dense/vars/1")
        elif kind == "external data":
            group.create_dataset("0", (4, 2), np.float32, external=[(str(other), 0, 32)])
        else:
            layout = h5py.VirtualLayout((4, 2), np.float32)
            layout[:] = h5py.VirtualSource(str(other), "kernel", (4, 2))
            group.create_virtual_dataset("0", layout)

    path = rewritten(model=weights_with(saved, change))
    assert error_of(path).startswith(
        f"{path} cannot be loaded as a Keras model. Not allowed: H5 file with "
    )

"""MNIST from a file."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.data.mnist import MnistConfig
from pipeline.data.splits import Splits
from pipeline.errors import DataError


def load(path: Path, **keys: Any) -> Splits:
    return MnistConfig(source="mnist", path=str(path), **keys).load()


@pytest.fixture(scope="module")
def splits(mnist_file: Path) -> Splits:
    return load(mnist_file)


def test_a_tenth_of_the_training_images_is_for_validation(splits: Splits) -> None:
    counts = {name: len(split) for name, split in splits.named().items()}
    assert counts["train"] + counts["val"] == 60_000
    assert counts["val"] == pytest.approx(6_000, abs=5)
    assert counts["test"] == 10_000


def test_images_are_28_by_28_grayscale(splits: Splits) -> None:
    assert splits.input_shape == (28, 28, 1)
    assert splits.class_names == tuple("0123456789")


def test_training_and_validation_share_no_image(splits: Splits) -> None:
    assert not set(splits.train.names) & set(splits.named()["val"].names)


def test_images_keep_their_labels(splits: Splits, mnist_file: Path) -> None:
    with np.load(mnist_file) as archive:
        x, y, x_test, y_test = (
            archive[part] for part in ("x_train", "y_train", "x_test", "y_test")
        )
    numbers = np.array(splits.named()["val"].names, int)
    held = splits.named()["val"].images.read(np.arange(len(numbers)))[..., 0]
    np.testing.assert_array_equal(held, x[numbers])
    np.testing.assert_array_equal(splits.named()["val"].labels, y[numbers])
    assert splits.test is not None
    np.testing.assert_array_equal(splits.test.images.read(np.arange(10_000))[..., 0], x_test)
    np.testing.assert_array_equal(splits.test.labels, y_test)


@pytest.fixture(scope="module")
def arrays(mnist_file: Path) -> dict[str, np.ndarray]:
    """The first hundred images of each part, with their labels."""
    with np.load(mnist_file) as archive:
        return {part: archive[part][:100] for part in ("x_train", "y_train", "x_test", "y_test")}


@pytest.mark.parametrize("size", [(32, 32), (14, 20)])
def test_images_are_resized_to_the_image_size(
    arrays: dict[str, np.ndarray], tmp_path: Path, size: tuple[int, int]
) -> None:
    np.savez(tmp_path / "small.npz", **arrays)  # type: ignore[arg-type]
    splits = load(tmp_path / "small.npz", image_size=size)
    for split in splits.named().values():
        assert split.images.shape == (*size, 1)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        load(tmp_path / "mnist.npz")
    assert str(caught.value) == f"data.path: the file {tmp_path / 'mnist.npz'} does not exist."


def no_bytes(path: Path, arrays: dict[str, np.ndarray]) -> None:
    path.write_bytes(b"")


def a_folder(path: Path, arrays: dict[str, np.ndarray]) -> None:
    path.mkdir()


def half_a_download(path: Path, arrays: dict[str, np.ndarray]) -> None:
    np.savez(path, **arrays)  # type: ignore[arg-type]
    path.write_bytes(path.read_bytes()[:50_000])


def a_flipped_byte(path: Path, arrays: dict[str, np.ndarray]) -> None:
    np.savez(path, **arrays)  # type: ignore[arg-type]
    data = bytearray(path.read_bytes())
    data[40_000] ^= 255
    path.write_bytes(data)


def no_test_images(path: Path, arrays: dict[str, np.ndarray]) -> None:
    np.savez(path, x_train=arrays["x_train"], y_train=arrays["y_train"])


def a_zip_of_text(path: Path, arrays: dict[str, np.ndarray]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("notes.txt", "no digits here")


@pytest.mark.parametrize(
    ("write", "received"),
    [
        (no_bytes, "No data left in file"),
        (a_folder, "[Errno 21] Is a directory: '{path}'"),
        (half_a_download, "File is not a zip file"),
        (a_flipped_byte, "Bad CRC-32 for file 'x_train.npy'"),
        (no_test_images, "'x_test is not a file in the archive'"),
        (a_zip_of_text, "'x_train is not a file in the archive'"),
    ],
)
def test_a_file_that_is_not_mnist_is_an_error(
    arrays: dict[str, np.ndarray],
    tmp_path: Path,
    write: Callable[[Path, dict[str, np.ndarray]], None],
    received: str,
) -> None:
    path = tmp_path / "mnist.npz"
    write(path, arrays)
    with pytest.raises(DataError) as caught:
        load(path)
    assert str(caught.value) == (
        f"data.path: {path} is not MNIST. Expected an .npz file with x_train, y_train, x_test, "
        f"y_test. Received: {received.format(path=path)}"
    )


def test_a_single_array_is_an_error(arrays: dict[str, np.ndarray], tmp_path: Path) -> None:
    path = tmp_path / "mnist.npz"
    with path.open("wb") as file:
        np.save(file, arrays["x_train"])
    with pytest.raises(DataError, match="is not MNIST"):
        load(path)


@pytest.mark.parametrize(
    ("part", "change", "received"),
    [
        ("x_train", lambda x: x / 255, "float64 (100, 28, 28) and uint8 (100,)"),
        ("x_train", lambda x: x.reshape(-1, 784), "uint8 (100, 784) and uint8 (100,)"),
        ("x_test", lambda x: x[:7], "uint8 (7, 28, 28) and uint8 (100,)"),
        ("y_train", lambda y: np.eye(10)[y], "uint8 (100, 28, 28) and float64 (100, 10)"),
        ("y_train", lambda y: y + 1, "uint8 (100, 28, 28) and uint8 (100,)"),
        ("y_test", lambda y: y.astype(float), "uint8 (100, 28, 28) and float64 (100,)"),
    ],
    ids=["floats", "flat", "fewer images", "one-hot", "a class 10", "float labels"],
)
def test_arrays_of_the_wrong_shape_or_type_are_an_error(
    arrays: dict[str, np.ndarray],
    tmp_path: Path,
    part: str,
    change: Callable[[np.ndarray], np.ndarray],
    received: str,
) -> None:
    path = tmp_path / "mnist.npz"
    np.savez(path, **{**arrays, part: change(arrays[part])})  # type: ignore[arg-type]
    with pytest.raises(DataError) as caught:
        load(path)
    of = part.removeprefix("x_").removeprefix("y_")
    assert str(caught.value) == (
        f"data.path: {path} is not MNIST. Expected x_{of} as uint8 (n, 28, 28) and y_{of} as "
        f"digits (n,). Received: {received}."
    )


def test_the_digest_is_of_the_images_and_not_of_the_file(
    arrays: dict[str, np.ndarray], tmp_path: Path
) -> None:
    np.savez(tmp_path / "stored.npz", **arrays)  # type: ignore[arg-type]
    np.savez_compressed(tmp_path / "compressed.npz", **arrays)  # type: ignore[arg-type]
    paths = (tmp_path / "stored.npz", tmp_path / "compressed.npz")
    assert len({hashlib.sha256(path.read_bytes()).digest() for path in paths}) == 2
    assert len({load(path).digest for path in paths}) == 1

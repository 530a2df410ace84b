"""Real data for the tests: the folder that PIPELINE_TEST_DATA names, else ../shared/data."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipeline.tracking import early_store, store

if TYPE_CHECKING:
    from pipeline.workflows.single_run import RunResult

ROOT = Path(__file__).parent.parent
TEST_DATA = Path(os.environ.get("PIPELINE_TEST_DATA", ROOT.parent / "shared" / "data"))


def _existing(path: Path) -> Path:
    if not path.exists():
        pytest.skip(f"{path} is absent; set PIPELINE_TEST_DATA to the folder of the test data")
    return path


@pytest.fixture(scope="session")
def mnist_file() -> Path:
    """MNIST as an .npz in the layout of keras.datasets.mnist."""
    return _existing(TEST_DATA / "mnist.npz")


@pytest.fixture(scope="session")
def photographs() -> Path:
    """The ants/bees photographs, train/ and val/ with a folder a class."""
    return _existing(TEST_DATA / "hymenoptera_data")


@pytest.fixture(scope="session")
def few_photographs(photographs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small copies of the first photographs of each class: 20 in train/, 10 in val/."""
    from PIL import Image

    directory = tmp_path_factory.mktemp("few_photographs")
    for split, count in (("train", 20), ("val", 10)):
        for name in ("ants", "bees"):
            target = directory / split / name
            target.mkdir(parents=True)
            for file in sorted((photographs / split / name).glob("*.jpg"))[:count]:
                with Image.open(file) as image:
                    image.resize((48, 48)).save(target / f"{file.stem}.png")
    return directory


@pytest.fixture(scope="session")
def weights() -> Path:
    """The folder of ImageNet weights."""
    return _existing(TEST_DATA / "weights")


@pytest.fixture
def in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make an empty folder the working folder, with no store named in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path


@pytest.fixture(scope="session")  # file systems keep their connections
def s3() -> Iterator[str]:
    """The address of a bucket of an S3 server on loopback."""
    from pipeline.storage import file_system

    server = import_module("moto.server").ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", "http://{}:{}".format(*server.get_host_and_port()))
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        file_system("s3://bucket")[0].mkdir("bucket")
        yield "s3://bucket"
    server.stop()


@contextlib.contextmanager
def _logged_messages() -> Iterator[list[str]]:
    """Collect what the package logs from level INFO on, warnings with `WARNING: ` before them."""
    found: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            prefix = "WARNING: " if record.levelno >= logging.WARNING else ""
            found.append(f"{prefix}{record.getMessage()}")

    logger, listener = logging.getLogger("pipeline"), Listener()
    level = logger.level
    logger.addHandler(listener)
    logger.setLevel(logging.INFO)
    try:
        yield found
    finally:
        logger.removeHandler(listener)
        logger.setLevel(level)


@pytest.fixture(scope="session")
def logged_messages() -> Callable[[], contextlib.AbstractContextManager[list[str]]]:
    """What collects the messages that the package logs in a block."""
    return _logged_messages


@pytest.fixture
def messages() -> Iterator[list[str]]:
    """The messages that the package logs during the test."""
    with _logged_messages() as found:
        yield found


@pytest.fixture(scope="session", autouse=True)
def _shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The folder of the cache of fixtures that several tests share."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIPELINE_CACHE", str(tmp_path_factory.mktemp("shared_cache")))
        yield


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the cache: one for each test."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("PIPELINE_CACHE", str(folder))
    return folder


@pytest.fixture
def ctrl_c_interrupts() -> Iterator[None]:
    """Let SIGINT raise KeyboardInterrupt also where the tests run in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def has_bfloat16() -> bool:
    """Whether TensorFlow convolves in bfloat16; oneDNN limited to AVX2 may refuse to."""
    import tensorflow as tf

    images = tf.ones((1, 4, 4, 3), tf.bfloat16)
    try:
        tf.nn.conv2d(images, tf.ones((3, 3, 3, 2), tf.bfloat16), strides=1, padding="SAME")
    except tf.errors.AbortedError:
        return False
    return True


@pytest.fixture(autouse=True, scope="session")
def runs_are_not_verified() -> Iterator[None]:
    """Spare runs the fresh process, which takes seconds, where a test does not ask for it."""
    from pipeline.stages import verify_model
    from pipeline.workflows import early_processes

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verify_model, "FreshProcess", lambda: None)
        patch.setattr(early_processes, "start", lambda tracking: None)
        yield


@pytest.fixture(autouse=True, scope="session")
def create_database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Path], None]]:
    """Copy a local store's database from the first one: MLflow takes a second to create each.

    Yields:
        What creates a database from nothing.
    """
    create, first = store._create, tmp_path_factory.mktemp("store") / "mlflow.db"

    def copy(path: Path) -> None:
        if not path.exists():
            create(first)
            shutil.copy(first, path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "_create", copy)
        patch.setattr(early_store, "create_early", lambda uri: None)
        yield create


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    """A run called `digits`, finished in a store of its own, which `tracking_uri` names."""
    from pipeline.recipe.loader import load_recipe
    from pipeline.workflows.single_run import run

    folder = tmp_path_factory.mktemp("digits")
    recipe = folder / "digits.yaml"
    recipe.write_text(
        "data: {source: digits, batch_size: 64}\n"
        "model: {architecture: mlp, hidden: [64]}\n"
        "optimizer: {learning_rate: 5e-3}\n"
        "training: {epochs: 5}\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        return run(load_recipe(recipe))


@pytest.fixture(scope="session")
def digits_model(digits_run: RunResult) -> Path:
    """The folder of the files of the model that `digits_run` logged."""
    from pipeline.tracking.lookup import files_of, find_model
    from pipeline.tracking.store import open_store
    from pipeline.tracking.stored_model import DATA

    opened = open_store(digits_run.tracking_uri)
    with files_of(opened, find_model(opened, digits_run.run_id)) as folder:
        return folder / DATA


@pytest.fixture(scope="session")
def digits_graph_model(digits_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the folder `digits_model`, in an MLflow model, with the model's graph."""
    import numpy as np

    from pipeline.inference.classifier import load_classifier
    from pipeline.inference.graph_writer import write_graph

    folder = tmp_path_factory.mktemp("graph") / "model"
    shutil.copytree(digits_model.parent, folder)
    data = folder / digits_model.name
    images = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 1), np.uint8)
    model = load_classifier(data).model
    write_graph(
        model,
        data / "model.keras",
        data,
        feature_layer=None,
        network=None,
        images=images,
        expected=lambda: model.predict_on_batch(images),
    )
    return data


@pytest.fixture(scope="session")
def digit_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the first 100 digits as PNG files, `NUMBER_LABEL.png`."""
    import numpy as np
    from PIL import Image
    from sklearn.datasets import load_digits

    folder = tmp_path_factory.mktemp("files")
    digits = load_digits()
    for number, (image, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        if number == 100:
            break
        pixels = np.round(image * (255 / 16)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:03}_{label}.png")
    return folder

"""Real data for the tests: the folder that PIPELINE_TEST_DATA names, else ../shared/data."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

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
def weights() -> Path:
    """The folder of ImageNet weights."""
    return _existing(TEST_DATA / "weights")


@pytest.fixture
def in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make an empty folder the working folder, with no store named in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that features are kept in: one for each test."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("PIPELINE_CACHE", str(folder))
    return folder

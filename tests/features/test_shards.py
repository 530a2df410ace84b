"""Features that a cluster computes in shards."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from pipeline import array_cache
from pipeline.cluster.cluster import Lost, UnfitMachineError
from pipeline.cluster.local_cluster import LocalCluster
from pipeline.data.splits import ArrayImages, Split
from pipeline.engines.engine import ENGINES, KERAS
from pipeline.engines.frozen_graph import TracedGraph
from pipeline.errors import PipelineError
from pipeline.features import shards, splitting
from pipeline.features.extraction import FeatureExtractor
from pipeline.features.shards import Machines, Shard, ShardWork, images_per_shard, make_worker
from pipeline.features.view_stream import UNAUGMENTED, AugmentedViews
from pipeline.models import transfer
from pipeline.models.layers import OutputLayer
from pipeline.models.regularization import RegularizationConfig
from pipeline.storage import Storage
from pipeline.tasks.classification import label_encoding

COUNT = 100  # three shards of 32 images, and one of 4


@pytest.fixture(scope="module")
def extractor(tmp_path_factory: pytest.TempPathFactory) -> FeatureExtractor:
    """An extractor that computes in this process."""
    path = tmp_path_factory.mktemp("base") / "base.keras"
    inputs = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(4, 3, strides=2, activation="relu")(inputs)
    keras.Model(inputs, keras.layers.Conv2D(6, 3, activation="relu")(x)).save(path)
    model = transfer.TransferConfig(architecture="transfer", base=path).build(
        input_shape=(16, 16, 3),
        output=OutputLayer(2, "softmax"),
        regularization=RegularizationConfig(),
        standardize=keras.layers.Rescaling(1 / 255),
    )
    model_split = splitting.split_before_head(model)
    graph = TracedGraph(
        model_split.frozen, model_split.frozen.network, pool=model_split.frozen.pool
    )
    return FeatureExtractor(
        model_split,
        label_encoding(2, OutputLayer(2, "softmax")),
        2**30,
        KERAS,
        {"engine": "keras", **ENGINES["keras"].facts("float32")},
        lambda: graph,
        list,
        Machines("local", ""),
    )


@pytest.fixture(scope="module")
def split() -> Split:
    pixels = np.random.default_rng(0).integers(0, 256, (COUNT, 16, 16, 3), dtype=np.uint8)
    unnamed, digests = [""] * COUNT, np.zeros((COUNT, 32), np.uint8)
    return Split(ArrayImages(pixels), np.arange(COUNT) % 2, unnamed, digests, "random pixels")


@pytest.fixture
def on_cluster(
    extractor: FeatureExtractor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> FeatureExtractor:
    """The same extractor with shards of 32 images, over a cluster that is this process."""
    monkeypatch.setattr(shards, "_MAX_IMAGES", 32)
    monkeypatch.setattr(
        shards, "open_cluster", lambda address: contextlib.nullcontext(LocalCluster())
    )
    machines = Machines("auto", str(tmp_path / "shared"))
    return dataclasses.replace(extractor, machines=machines)


def augmented(*layers: Any) -> AugmentedViews:
    return AugmentedViews(3, layers, [type(layer).__name__ for layer in layers], 0)


VIEWS = {
    "as they are": lambda: UNAUGMENTED,
    "mirrored": lambda: augmented(keras.layers.RandomFlip("horizontal")),
    "rotated and mixed": lambda: augmented(keras.layers.RandomRotation(0.1), keras.layers.MixUp()),
}


@pytest.mark.parametrize("views", VIEWS.values(), ids=list(VIEWS))
def test_features_of_a_cluster_are_those_of_one_process_to_the_bit(
    extractor: FeatureExtractor,
    on_cluster: FeatureExtractor,
    split: Split,
    views: Callable[[], AugmentedViews],
) -> None:
    extractor.extract(split, views(), name="train")
    alone = _entry()
    array_cache.clear()

    on_cluster.extract(split, views(), name="train")

    assert _entry() == alone


def _entry() -> dict[str, bytes]:
    """Return the files of the only entry of the cache."""
    (entry,) = array_cache.list_entries()
    path = array_cache.cache_directory() / entry.key
    return {file.name: file.read_bytes() for file in path.glob("*.npy")}


def test_shards_that_are_there_are_not_computed_again(
    on_cluster: FeatureExtractor, split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed: list[int] = []
    compute = ShardWork.compute

    def count_and_compute(work: ShardWork, shard: Shard) -> int:
        if len(computed) == 2:
            raise KeyboardInterrupt
        computed.append(shard.number)
        return compute(work, shard)

    monkeypatch.setattr(ShardWork, "compute", count_and_compute)
    with pytest.raises(KeyboardInterrupt):
        on_cluster.extract(split, UNAUGMENTED, name="train")
    key = on_cluster.key(split, UNAUGMENTED)
    storage = Storage(on_cluster.machines.storage)
    assert storage.names(key) == [f"{key}/000000.npz", f"{key}/000001.npz"]
    damaged = bytearray(storage.read_bytes(f"{key}/000001.npz"))
    damaged[-1] ^= 1
    storage.write_bytes(f"{key}/000001.npz", bytes(damaged))

    def note_and_compute(work: ShardWork, shard: Shard) -> int:
        computed.append(shard.number)
        return compute(work, shard)

    monkeypatch.setattr(ShardWork, "compute", note_and_compute)
    features = on_cluster.extract(split, UNAUGMENTED, name="train")

    assert computed == [0, 1, 1, 2, 3]  # number 1 was damaged
    assert len(features) == COUNT
    assert storage.names() == []  # what is kept is in the cache


def test_storage_that_the_machines_do_not_share_is_an_error(
    on_cluster: FeatureExtractor, split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ShardWork, "compute", lambda work, shard: 32)

    with pytest.raises(PipelineError) as caught:
        on_cluster.extract(split, UNAUGMENTED, name="train")

    address = on_cluster.machines.storage
    name = f"{on_cluster.key(split, UNAUGMENTED)}/000000.npz"
    assert str(caught.value) == (
        f"runtime.storage: {address} does not have {name} as a machine of the cluster wrote it. "
        "Set it to a directory that all machines share, or to an address such as "
        "s3://BUCKET/FOLDER, and start the command again."
    )


def test_a_shard_whose_processes_die_is_an_error(
    on_cluster: FeatureExtractor, split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Dying(LocalCluster):
        def results(self, make_worker: Any, pieces: Any, *, retries: int = 0) -> Iterator[Any]:
            yield next(pieces), Lost("A process on 10.0.0.1 died.", memory=False)

    monkeypatch.setattr(shards, "open_cluster", lambda address: contextlib.nullcontext(Dying()))

    with pytest.raises(PipelineError) as caught:
        on_cluster.extract(split, UNAUGMENTED, name="train")

    assert str(caught.value) == (
        "The features of 32 images could not be computed. A process on 10.0.0.1 died. Those of "
        "other images are kept: start the command again."
    )


def test_a_machine_that_computes_other_bits_is_left_out(extractor: FeatureExtractor) -> None:
    work = ShardWork(
        extractor.compiled(),
        KERAS,
        {**extractor.engine, "instructions": "of another processor"},
        UNAUGMENTED,
        extractor.encoding,
        Storage("memory://x"),
        "key",
    )

    with pytest.raises(UnfitMachineError) as caught:
        make_worker(work)

    assert str(caught.value) == (
        "Keras in float32 computes other bits on it than on the driver: its processor has other "
        "instructions, or a package another version."
    )


@pytest.mark.parametrize(
    ("images", "bytes_per_image", "expected"),
    [
        (100, 2560, 256),
        (20_000, 2560, 1984),
        (10**6, 2560, 2048),
        (10**6, 2**20, 64),
        (100, 2**27, 32),
    ],
)
def test_a_shard_is_a_whole_number_of_batches(
    images: int, bytes_per_image: int, expected: int
) -> None:
    assert images_per_shard(images, bytes_per_image) == expected


@pytest.mark.slow
def test_processes_of_ray_compute_the_same_bits(
    extractor: FeatureExtractor,
    split: Split,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    views = VIEWS["rotated and mixed"]()
    extractor.extract(split, views, name="train")
    alone = _entry()
    array_cache.clear()
    monkeypatch.setattr(shards, "_MAX_IMAGES", 32)
    open_cluster = shards.open_cluster
    monkeypatch.setattr(shards, "open_cluster", lambda address: open_cluster("local", workers=2))
    machines = Machines("auto", str(tmp_path / "shared"))

    dataclasses.replace(extractor, machines=machines).extract(split, views, name="train")

    assert _entry() == alone

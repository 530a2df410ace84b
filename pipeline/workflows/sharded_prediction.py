"""Predict shards of images, on one machine or several, to a directory of Parquet files."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial

from pipeline import __version__
from pipeline.addresses import is_remote
from pipeline.cluster.cluster import Lost
from pipeline.cluster.opening import open_cluster
from pipeline.cluster.piece_progress import PieceProgress
from pipeline.errors import PipelineError
from pipeline.file_digests import file_digest
from pipeline.inference.batch_prediction import predict
from pipeline.inference.image_classifier import MODEL_FILE, ImageClassifier, load_image_classifier
from pipeline.inference.input_shards import (
    FileShard,
    Shard,
    list_shards,
    shard_version,
    source_columns,
)
from pipeline.inference.model_inputs import input_reader
from pipeline.inference.model_interface import INTERFACE_FILE, load_interface
from pipeline.inference.prediction_columns import PredictionColumns
from pipeline.inference.prediction_counts import PredictionCounts
from pipeline.inference.prediction_parquet import write_parquet
from pipeline.inference.shard_items import shard_items
from pipeline.secrets import mask_credentials
from pipeline.storage import Storage
from pipeline.tracking.lookup import files_of, find_model
from pipeline.tracking.store import Store, open_store
from pipeline.tracking.stored_model import DATA, StoredModel
from pipeline.workflows.averaged_outputs import check_views
from pipeline.workflows.prediction_parts import (
    Manifest,
    finished_parts,
    part_metadata,
    part_name,
)

logger = logging.getLogger(__name__)

# `view_averaging`, or what does the same.
ViewAveraging = Callable[[Store, StoredModel, int], Callable[[ImageClassifier], ImageClassifier]]

_RETRIES = 1  # of a shard whose process died


@dataclass(frozen=True)
class PredictionOptions:
    """How images are predicted.

    Attributes:
        top: the number of classes for each image.
        confidence_level: of prediction sets; None for none.
        views: of each image, whose outputs are averaged.
        column: of the images in tables; None for the one with a usual name.
    """

    top: int = 3
    confidence_level: float | None = None
    views: int = 1
    column: str | None = None


@dataclass(frozen=True)
class PredictionResult:
    """What was predicted to a directory.

    Attributes:
        counts: of all parts.
        rows: images, or rows of tables, that were predicted now.
        seconds: that these took.
        parts: how many there are.
        unit: what was predicted, `images` or `rows`.
    """

    counts: PredictionCounts
    rows: int
    seconds: float
    parts: int
    unit: str


@dataclass(frozen=True)
class _Job:
    """What a process needs to predict shards.

    Attributes:
        model: to be loaded.
        address: the tracking URI of its store.
        average: makes it average over views; None for one view.
        options: of the command.
        sources: the columns that say which image it is.
        storage: the directory of the parts.
        digest: of the manifest.
    """

    model: StoredModel
    address: str
    average: ViewAveraging | None
    options: PredictionOptions
    sources: tuple[str, ...]
    storage: Storage
    digest: str


@dataclass(frozen=True)
class _NumberedShard:
    number: int
    shard: Shard


def predict_to_directory(
    run: str,
    arguments: Sequence[str],
    output: str,
    options: PredictionOptions,
    *,
    address: str,
    average: ViewAveraging | None = None,
    cluster: str = "local",
    workers: int = 1,
) -> PredictionResult:
    """Predict images, or rows of tables, to a directory of Parquet files, a part for each shard.

    Parts that are there, by the same command, are kept. A part is written whole or not at all.

    Args:
        run: a run's id or name, `latest`, or a registered model.
        arguments: as `list_shards` takes them.
        output: the directory, or its address.
        options: how they are predicted.
        address: the tracking URI of the store with the run.
        average: `view_averaging`, for several views; it needs TensorFlow.
        cluster: where, as `open_cluster` takes it.
        workers: the number of processes on each machine.

    Raises:
        UsageError: if an argument names nothing, or the directory has other predictions.
        PipelineError: if an input cannot be read, or a shard's process died again and again.
        KeyboardInterrupt: if it is interrupted. Finished parts are kept.
    """
    check_views(options.views, options.confidence_level)
    store = open_store(address)
    model = find_model(store, run)
    with files_of(store, model) as directory:
        interface = load_interface(directory / DATA)
        digests = [file_digest(directory / DATA / name) for name in (MODEL_FILE, INTERFACE_FILE)]
    interface.set_threshold(options.confidence_level)  # so that an error comes early
    logger.info(f"Using the model of run {model.run_name} ({model.run_id})")
    shards = list_shards(arguments, interface, column=options.column)
    sources = source_columns(shards, interface)
    storage = Storage(output.rstrip("/") if is_remote(output) else os.path.abspath(output))  # noqa: PTH100
    manifest = Manifest(
        {"model": digests, "inputs": [shard_version(shard) for shard in shards], **asdict(options)},
        {
            "pipeline": __version__,
            "run": f"{model.run_name} ({model.run_id})",
            "arguments": [mask_credentials(argument) for argument in arguments],
        },
    )
    manifest.write(storage)
    job = _Job(model, store.address, average, options, sources, storage, manifest.digest)
    return _predict_missing(job, shards, interface.unit, cluster, workers)


def _predict_missing(
    job: _Job, shards: Sequence[Shard], unit: str, cluster: str, workers: int
) -> PredictionResult:
    """Predict the shards without a part."""
    done = finished_parts(job.storage, job.digest)
    counts = PredictionCounts()
    for part in done.values():
        counts.add(part)
    if done:
        logger.info(
            f"{len(done):,} of {len(shards):,} parts are there, with {counts.rows:,} {unit}. They "
            "are kept."
        )
    missing = (_NumberedShard(n, shard) for n, shard in enumerate(shards) if n not in done)
    lost: list[str] = []
    started = time.monotonic()
    progress = PieceProgress(len(shards), len(done), doing="predicting", pieces="parts", unit=unit)
    with progress.shown(), _explained(progress), open_cluster(cluster, workers=workers) as opened:
        make_predictor = partial(_make_predictor, job)
        for numbered, found in opened.results(make_predictor, missing, retries=_RETRIES):
            if isinstance(found, Lost):
                lost.append(f"{_describe(numbered.shard)}: {found.reason}")
            else:
                counts.add(found)
                progress.advance(found.rows)
    if lost:
        raise PipelineError(
            f"{len(lost):,} of {len(shards):,} parts could not be predicted. {lost[0]} Give the "
            "same command again to predict only these."
        )
    seconds = time.monotonic() - started
    return PredictionResult(counts, progress.rows, seconds, len(shards), unit)


@contextlib.contextmanager
def _explained(progress: PieceProgress) -> Iterator[None]:
    """Say how to resume, if the block does not end by itself."""
    try:
        yield
    except BaseException:
        if progress.done:
            logger.info(
                f"{progress.done:,} of {progress.total:,} parts are finished. Give the same "
                "command again to resume."
            )
        raise


def _make_predictor(job: _Job) -> Callable[[_NumberedShard], PredictionCounts]:
    """Load the model, and return what predicts a shard."""
    classifier = _load(job)
    interface, options = classifier.interface, job.options
    threshold = interface.set_threshold(options.confidence_level)
    columns = PredictionColumns(interface, job.sources, options.top, threshold, options.views)

    def predict_shard(numbered: _NumberedShard) -> PredictionCounts:
        counts, file = PredictionCounts(), io.BytesIO()
        items = shard_items(numbered.shard, takes_numbers=interface.takes_numbers)
        predictions = counts.counted(predict(classifier, items, input_reader(interface)))
        rows = map(columns.cells, predictions)
        write_parquet(file, columns.columns(), rows, lambda: part_metadata(job.digest, counts))
        job.storage.write_bytes(part_name(numbered.number), file.getbuffer())
        return counts

    return predict_shard


def _load(job: _Job) -> ImageClassifier:
    store = open_store(job.address)
    with files_of(store, job.model) as directory:
        classifier = load_image_classifier(directory / DATA)
    if job.average is None:
        return classifier
    return job.average(store, job.model, job.options.views)(classifier)


def _describe(shard: Shard) -> str:
    if isinstance(shard, FileShard):
        return f"{shard.count:,} images from {shard.files[0]} on"
    return str(shard.file)

"""Metrics, tables, predictions file and report of a split with many classes.

    python benchmarks/many_classes.py --images 50000 --classes 1000

The probabilities are those of a classifier of about 80 % accuracy, drawn at random. Memory is what
each part takes at its peak beyond the probabilities themselves.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import psutil

from pipeline.evaluation import predictions
from pipeline.evaluation.class_metrics import class_metrics
from pipeline.evaluation.metrics import classification_metrics
from pipeline.evaluation.predictions import Predictions
from pipeline.evaluation.report_page import Report, SplitReport, render_report
from pipeline.stages.run_report import report_terms
from pipeline.tasks.classification import split_content
from pipeline.tasks.tasks import TASKS
from pipeline.tracking.ui_tables import write_table

_ROWS = 1000

Result = TypeVar("Result")


def main() -> None:
    """Print seconds and memory of each part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--keep", type=Path, help="Write the page of the report to this file.")
    given = parser.parse_args()
    drawn = draw(given.images, given.classes)
    no_view: Any = None  # what classes show does not depend on it
    print(f"{given.images:,} images, {given.classes:,} classes")
    labels, probabilities = drawn.labels, drawn.outputs
    metrics = measure("metrics", lambda: classification_metrics(labels, probabilities, top_k=5))
    measure("images to show", lambda: images_to_show(drawn))
    content = measure(
        "tables and charts", lambda: split_content(drawn, title="validation", view=no_view)
    )
    split = SplitReport("val", "Validation", "", len(drawn), metrics, content)
    counts = {"train": np.bincount(labels, minlength=given.classes).tolist()}
    terms = report_terms(TASKS["classification"], is_imbalanced=False)
    report = Report("many classes", drawn.class_names, [split], terms, counts=counts)
    rendered = measure("report", lambda: render_report(report))
    with tempfile.TemporaryDirectory() as scratch:
        rows = class_metrics(labels, drawn.predicted, drawn.class_names).rows()
        measure("class metrics", lambda: write_table(rows, Path(scratch, "val.json")))
        path = Path(scratch, "val.parquet")
        measure("predictions", lambda: predictions.write_predictions(drawn, path))
        sizes = {"predictions": path.stat().st_size, "page": len(rendered.html)}
    print(", ".join(f"{name} {size / 1e6:.1f} MB" for name, size in sizes.items()))
    if given.keep:
        given.keep.write_text(rendered.html)


def draw(images: int, classes: int) -> Predictions:
    """Return predictions of a classifier of about 80 % accuracy."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, classes, images)
    probabilities = np.empty((images, classes))
    for start in range(0, images, _ROWS):
        own = labels[start : start + _ROWS]
        logits = generator.standard_normal((len(own), classes), dtype=np.float32) * 2
        logits[np.arange(len(own)), own] += generator.normal(10, 4, len(own))
        exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities[start : start + _ROWS] = exponents / exponents.sum(axis=1, keepdims=True)
    digests = [f"{number:064x}" for number in range(images)]
    names = [f"{number}.jpg" for number in range(images)]
    class_names = [f"class {number}" for number in range(classes)]
    return Predictions(class_names, names, digests, labels, probabilities)


def images_to_show(drawn: Predictions) -> None:
    """Find the images that the report shows."""
    errors = predictions.worst_errors(drawn, 12)
    predictions.least_certain(drawn, 8, exclude=errors)


def measure(name: str, work: Callable[[], Result]) -> Result:
    """Print the seconds and the peak memory of some work, and return its result."""
    process, ended = psutil.Process(), threading.Event()
    before = peak = process.memory_info().rss

    def watch() -> None:
        nonlocal peak
        while not ended.wait(0.01):
            peak = max(peak, process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    started = time.perf_counter()
    result = work()
    seconds = time.perf_counter() - started
    ended.set()
    watcher.join()
    print(f"{name:<16} {seconds:6.1f} s  +{(peak - before) / 1e6:5.0f} MB", flush=True)
    return result


if __name__ == "__main__":
    main()

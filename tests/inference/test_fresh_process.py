"""The predictions of a saved model in a fresh process."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import ModelError
from pipeline.inference import verification_worker
from pipeline.inference.batch_prediction import predict
from pipeline.inference.classifier import load_classifier
from pipeline.inference.fresh_process import FreshProcess


def test_its_predictions_are_those_of_this_process(
    digits_model: Path, digit_files: Path, tmp_path: Path
) -> None:
    files = sorted(digit_files.iterdir())[:40]
    process = FreshProcess()
    process.request(digits_model, files, tmp_path, feature_layer=None, network=None)
    classifier = load_classifier(digits_model)
    predictions = predict(classifier, files, classifier.interface.read)
    here = [prediction.outputs for prediction in predictions]
    assert process.graph_error() == ""
    np.testing.assert_allclose(process.outputs(), np.array(here), atol=1e-6)
    assert {path.name for path in tmp_path.iterdir()} == {"graph.xml", "graph.bin", "graph.json"}


def test_a_dead_process_is_an_error(digits_model: Path, tmp_path: Path) -> None:
    process = FreshProcess()
    process._process.kill()
    process._process.wait()
    process.request(digits_model, [], tmp_path, feature_layer=None, network=None)
    with pytest.raises(ModelError) as caught:
        process.graph_error()
    assert str(caught.value) == "The process ended with exit code -9."


@pytest.mark.slow
def test_it_ends_when_its_input_is_closed() -> None:
    process = FreshProcess()
    process._input.close()
    assert process._process.wait(timeout=60) == 0
    process.close()


def test_the_process_leaves_the_gpus_to_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    visible: list[tuple[list[object], str]] = []
    monkeypatch.setattr(
        verification_worker.tf.config, "set_visible_devices", lambda *gpus: visible.append(gpus)
    )
    monkeypatch.setattr(verification_worker, "warm_up", lambda: None)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    verification_worker.main()
    assert visible == [([], "GPU")]


def test_it_can_be_closed_while_it_waits() -> None:
    process = FreshProcess()
    process.close()
    assert process._process.returncode == -9

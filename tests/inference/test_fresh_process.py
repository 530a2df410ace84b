"""What the saved model says in a process that has not seen it before."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import ModelError
from pipeline.inference import classifier as classifiers
from pipeline.inference import fresh_process
from pipeline.inference.fresh_process import FreshProcess
from pipeline.inference.prediction import predict


def test_it_says_what_the_model_says_here(digits_model: Path, digit_files: Path) -> None:
    files = sorted(digit_files.iterdir())[:40]
    process = FreshProcess()
    process.ask(digits_model, files)
    classifier = classifiers.load_classifier(digits_model)
    here = [given.probabilities for given in predict(classifier, files, classifier.interface.read)]
    np.testing.assert_allclose(process.answer(), np.stack(here), atol=1e-6)


def test_a_process_that_died_is_an_error(digits_model: Path) -> None:
    process = FreshProcess()
    process._process.kill()
    process._process.wait()
    process.ask(digits_model, [])
    with pytest.raises(ModelError) as failed:
        process.answer()
    assert str(failed.value) == "it ended with -9"


@pytest.mark.slow
def test_it_ends_when_nobody_can_ask_it_any_more() -> None:
    process = FreshProcess()
    process._input.close()
    assert process._process.wait(timeout=60) == 0
    process.end()


def test_the_process_leaves_the_gpus_to_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    visible: list[tuple[list[object], str]] = []
    monkeypatch.setattr(
        fresh_process.tf.config, "set_visible_devices", lambda *gpus: visible.append(gpus)
    )
    monkeypatch.setattr("sys.stdin", io.StringIO())
    fresh_process.main()
    assert visible == [([], "GPU")]


def test_it_is_ended_at_once_while_it_waits() -> None:
    process = FreshProcess()
    process.end()
    assert process._process.returncode == -9

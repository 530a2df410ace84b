"""The progress of a training."""

from __future__ import annotations

import pytest

from pipeline.training.callbacks import BestEpoch
from pipeline.training.progress_display import ProgressDisplay


def test_each_epoch_is_one_line_without_a_terminal(
    messages: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    best = BestEpoch("val_log_loss", "val_log_loss")
    best.load(3, {"val_log_loss": 0.25}, [])
    display = ProgressDisplay(best, "accuracy", first_epoch=2, last_epoch=1000)
    display.on_train_begin()
    display.on_epoch_begin(2)
    display.on_train_batch_end(0, {"loss": 1.0})
    now = 110.0  # 10 s for the first of the epochs from 3 to 1000
    logs = {"accuracy": 0.5, "loss": 1.0, "val_accuracy": 0.75, "val_log_loss": 0.25}
    display.on_epoch_end(2, logs)
    display.close()
    assert messages == [
        "Epoch 3/1000  loss 1.0000  accuracy 0.5000  val_log_loss 0.2500  val_accuracy 0.7500  "
        "best val_log_loss 0.2500 (epoch 3)  2:46:10 left"
    ]


def test_without_validation_there_is_no_best_epoch(messages: list[str]) -> None:
    best = BestEpoch(None, "val_log_loss")
    best.load(1, {"loss": 1.0}, [])
    display = ProgressDisplay(best, "accuracy", first_epoch=0, last_epoch=1)
    display.on_train_begin()
    display.on_epoch_end(0, {"loss": 1.0, "accuracy": 0.5})
    assert messages == ["Epoch 1/1  loss 1.0000  accuracy 0.5000  0:00 left"]

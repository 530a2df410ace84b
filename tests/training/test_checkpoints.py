"""Checkpoints are atomic and checksummed, and writing them does not slow a training down."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.training import checkpoints as module
from pipeline.training.checkpoints import BudgetState, Checkpoint, Checkpoints


def after(epochs: int) -> Checkpoint:
    return Checkpoint(
        rows=[{"loss": 1 / 3 / epoch} for epoch in range(1, epochs + 1)],
        seconds=[0.25] * epochs,
        phases=[0],
        is_phase_over=False,
        best_epoch=1,
        callbacks=[{"wait": 2, "best": None}],
        model=[np.array([epochs, 2], np.uint32), np.full((11, 2), 1 / 3, np.float32)],
        optimizer=[np.array(epochs, np.int64)],
        best=[np.full((11, 2), 0.5, np.float32)],
        budget=BudgetState(12.5, 30.0, 3.0, 1.5, has_ended=True, part=0.5),
    )


def assert_equal(checkpoint: Checkpoint | None, expected: Checkpoint) -> None:
    assert checkpoint is not None
    for name, value in vars(expected).items():
        if name in ("model", "optimizer", "best"):
            for array, expected_array in zip(getattr(checkpoint, name), value, strict=True):
                np.testing.assert_array_equal(array, expected_array, strict=True)
        else:
            assert getattr(checkpoint, name) == value


def save(directory: Path, *epochs: int) -> None:
    checkpoints = Checkpoints(directory)
    for epoch in epochs:
        checkpoints.save(after(epoch), now=True)


def saved_epochs(directory: Path) -> list[str]:
    return sorted(path.name[:12] for path in directory.iterdir())


def test_a_checkpoint_is_loaded_bit_for_bit(tmp_path: Path) -> None:
    save(tmp_path, 3)
    assert_equal(Checkpoints(tmp_path).latest(), after(3))


def test_there_is_no_checkpoint_before_the_first_is_saved(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "absent")
    assert checkpoints.latest() is None
    assert checkpoints.last_epoch() == 0


def test_the_last_two_checkpoints_are_kept(tmp_path: Path) -> None:
    save(tmp_path, 9, 10, 11)
    assert saved_epochs(tmp_path) == ["epoch-000010", "epoch-000011"]
    assert Checkpoints(tmp_path).last_epoch() == 11


@pytest.mark.parametrize("damage", ["flipped bit", "truncated"])
def test_a_corrupt_checkpoint_falls_back_to_the_previous_one(
    tmp_path: Path, damage: str, messages: list[str]
) -> None:
    save(tmp_path, 4, 5)
    (path,) = tmp_path.glob("epoch-000005*")
    content = bytearray(path.read_bytes())
    if damage == "flipped bit":
        content[len(content) // 2] ^= 1
    path.write_bytes(content if damage == "flipped bit" else content[:-1])
    assert_equal(Checkpoints(tmp_path).latest(), after(4))
    assert messages == [
        f"WARNING: The checkpoint {path} is corrupt. Falling back to the previous one."
    ]


def test_an_interrupted_write_leaves_no_partial_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path, 1)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save(tmp_path, 2)
    assert saved_epochs(tmp_path) == ["epoch-000001"]


def test_writing_takes_at_most_two_percent_of_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    checkpoints = Checkpoints(tmp_path)

    def slow(path: Path, content: bytes) -> None:
        nonlocal now
        now += 1.0
        path.write_bytes(content)

    monkeypatch.setattr(module, "atomic_write", slow)
    assert checkpoints.save(after(1), now=False)
    now += 49.0
    assert not checkpoints.save(after(2), now=False)
    assert checkpoints.last_epoch() == 1
    now += 1.0
    assert checkpoints.save(after(3), now=False)
    assert checkpoints.last_epoch() == 3


def test_a_pending_checkpoint_can_be_flushed_at_any_time(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(after(1), now=True)
    checkpoints.save(after(2), now=False)
    checkpoints.flush()
    assert checkpoints.last_epoch() == 2


def test_a_failing_disk_is_reported_once_and_does_not_end_the_training(
    tmp_path: Path, messages: list[str]
) -> None:
    directory = tmp_path / "a file"
    directory.write_text("in the way")
    save(directory, 1, 2)
    assert messages == [
        f"WARNING: A checkpoint could not be written to {directory}: File exists. Training "
        "continues; if it is interrupted, it can resume from the previous checkpoint."
    ]


def test_a_choice_is_made_once(tmp_path: Path) -> None:
    directory = tmp_path / "new"
    assert Checkpoints(directory).choose_once("inputs", lambda: "pixels") == "pixels"
    assert Checkpoints(directory).choose_once("inputs", lambda: "activations") == "pixels"
    assert Checkpoints(directory).choose_once("layer", lambda: "7") == "7"


def test_a_choice_that_cannot_be_kept_is_reported(tmp_path: Path, messages: list[str]) -> None:
    directory = tmp_path / "a file"
    directory.write_text("in the way")
    assert Checkpoints(directory).choose_once("inputs", lambda: "pixels") == "pixels"
    assert messages == [
        f"WARNING: {directory / 'inputs.txt'} could not be written: File exists. Training "
        "continues; if it is interrupted and resumed, it may choose something else than pixels."
    ]

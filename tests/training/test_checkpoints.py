"""Checkpoints: whole, the newest one that is not damaged, and never in the way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.training import checkpoints as module
from pipeline.training.checkpoints import Checkpoint, Checkpoints


def after(epochs: int) -> Checkpoint:
    return Checkpoint(
        rows=[{"loss": 1 / 3 / epoch} for epoch in range(1, epochs + 1)],
        seconds=[0.25] * epochs,
        phases=[0],
        is_phase_over=False,
        best_epoch=1,
        best_value=0.1,
        callbacks=[{"wait": 2, "best": None}],
        model=[np.array([epochs, 2], np.uint32), np.full((11, 2), 1 / 3, np.float32)],
        optimizer=[np.array(epochs, np.int64)],
        best=[np.full((11, 2), 0.5, np.float32)],
    )


def the_same(one: Checkpoint | None, other: Checkpoint) -> bool:
    assert one is not None
    for name, expected in vars(other).items():
        if name in ("model", "optimizer", "best"):
            for array, array_expected in zip(getattr(one, name), expected, strict=True):
                np.testing.assert_array_equal(array, array_expected, strict=True)
        else:
            assert getattr(one, name) == expected
    return True


def kept(folder: Path, *epochs: int) -> list[str]:
    messages: list[str] = []
    checkpoints = Checkpoints(folder, messages.append)
    for epoch in epochs:
        checkpoints.keep(after(epoch), now=True)
    return messages


def test_it_comes_back_to_the_last_bit(tmp_path: Path) -> None:
    kept(tmp_path, 3)
    assert the_same(Checkpoints(tmp_path, print).newest(), after(3))


def test_there_is_none_before_the_first(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "absent", print)
    assert checkpoints.newest() is None
    assert checkpoints.last_epoch() == 0


def test_the_last_two_are_kept(tmp_path: Path) -> None:
    kept(tmp_path, 9, 10, 11)
    assert [path.name[:12] for path in sorted(tmp_path.iterdir())] == [
        "epoch-000010",
        "epoch-000011",
    ]
    assert Checkpoints(tmp_path, print).last_epoch() == 11


@pytest.mark.parametrize("damage", ["a bit", "the end"])
def test_a_damaged_one_is_noticed_and_the_one_before_it_is_used(
    tmp_path: Path, damage: str
) -> None:
    kept(tmp_path, 4, 5)
    (path,) = tmp_path.glob("epoch-000005*")
    content = bytearray(path.read_bytes())
    if damage == "a bit":
        content[len(content) // 2] ^= 1
    path.write_bytes(content if damage == "a bit" else content[:-1])
    messages: list[str] = []
    assert the_same(Checkpoints(tmp_path, messages.append).newest(), after(4))
    assert messages == [
        f"WARNING: the checkpoint {path} is damaged and not used; the one before it is."
    ]


def test_an_interruption_leaves_no_part_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept(tmp_path, 1)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        kept(tmp_path, 2)
    assert [path.name[:12] for path in tmp_path.iterdir()] == ["epoch-000001"]


def test_writing_takes_no_more_than_its_share_of_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    checkpoints = Checkpoints(tmp_path, print)

    def slow(path: Path, content: bytes) -> None:
        nonlocal now
        now += 1.0
        path.write_bytes(content)

    monkeypatch.setattr(module, "write_whole", slow)
    assert checkpoints.keep(after(1), now=False)
    now += 49.0
    assert not checkpoints.keep(after(2), now=False)
    assert checkpoints.last_epoch() == 1
    now += 1.0
    assert checkpoints.keep(after(3), now=False)
    assert checkpoints.last_epoch() == 3


def test_what_waits_can_be_written_at_any_time(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, print)
    checkpoints.keep(after(1), now=True)
    checkpoints.keep(after(2), now=False)
    checkpoints.flush()
    assert checkpoints.last_epoch() == 2


def test_a_disk_that_does_not_take_it_is_told_of_once_and_ends_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "a file"
    folder.write_text("in the way")
    assert kept(folder, 1, 2) == [
        f"WARNING: no checkpoint can be written to {folder}: File exists. Training goes on; if it "
        "is interrupted, it goes on from the one before."
    ]

"""What is known of the processor, and what follows from it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline import backend, processor
from pipeline.processor import instruction_sets, usable_threads


@pytest.fixture(autouse=True)
def known_anew() -> Iterator[None]:
    """Look at the processor again in the test, and after it."""
    processor._processor.cache_clear()
    yield
    processor._processor.cache_clear()


def of_flags(monkeypatch: pytest.MonkeyPatch, flags: str) -> None:
    text = f"processor: 0\nmodel name: Core of a test\nflags: {flags}\n\nprocessor: 1\n"
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: text)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("sse4_2 avx", None),  # nobody measured it there
        ("sse4_2 avx avx2 fma", "1"),
        ("avx avx2 fma avx512f avx512_vnni", None),  # TensorFlow does it by itself
    ],
)
def test_onednn_is_enabled_where_it_pays_and_tensorflow_leaves_it_off(
    flags: str, expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_flags(monkeypatch, flags)
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "")
    del os.environ["TF_ENABLE_ONEDNN_OPTS"]
    with backend.quiet_imports():
        pass
    assert os.environ.get("TF_ENABLE_ONEDNN_OPTS") == expected


def test_a_setting_for_onednn_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    of_flags(monkeypatch, "avx avx2")
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    with backend.quiet_imports():
        pass
    assert os.environ["TF_ENABLE_ONEDNN_OPTS"] == "0"


def test_nothing_is_known_of_a_processor_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_: object, **__: object) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", absent)
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert processor.processor_name() == "unknown, 6 threads"
    assert not processor.has_bfloat16()
    assert not processor.needs_onednn_enabled()


@pytest.mark.parametrize("name", ["ONEDNN_MAX_CPU_ISA", "TF_ENABLE_ONEDNN_OPTS"])
def test_limited_instructions_are_other_instructions(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(name, raising=False)
    before = instruction_sets()
    monkeypatch.setenv(name, "0")
    assert instruction_sets() != before


def test_a_worker_computes_on_its_share_of_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert usable_threads() == 3

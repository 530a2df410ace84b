"""The table of engines."""

from __future__ import annotations

import pytest

from pipeline.engines.engine import ENGINES, KERAS, Variant, instruction_sets, usable_threads


def test_every_engine_can_be_imported() -> None:
    for engine in ENGINES.values():
        assert engine.is_installed()
        assert engine.facts(engine.precisions[0])["versions"]["keras"]


def test_a_variant_names_engine_and_precision() -> None:
    assert str(Variant("openvino", "int8")) == "OpenVINO in int8"
    assert str(KERAS) == "Keras in float32"


def test_reduced_precision_is_kept_in_half_the_space() -> None:
    types = [Variant("openvino", name).storage_dtype for name in ENGINES["openvino"].precisions]
    assert types == ["float32", "float16", "float16"]


def test_limited_instructions_are_other_instructions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    before = instruction_sets()
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2_ONLY")
    assert instruction_sets() != before


def test_a_worker_computes_on_its_share_of_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert usable_threads() == 3

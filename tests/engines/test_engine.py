"""The table of engines."""

from __future__ import annotations

from pipeline.engines.engine import ENGINES, KERAS, Variant


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

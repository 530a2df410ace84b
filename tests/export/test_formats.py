from __future__ import annotations

import importlib.util

import pytest

from pipeline.errors import UsageError
from pipeline.export.formats import check_installed


def test_a_missing_package_is_an_error_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    check_installed("saved_model")
    with pytest.raises(UsageError) as caught:
        check_installed("onnx")
    assert str(caught.value) == (
        "The format onnx requires packages that are not installed: tf2onnx, onnx, onnxruntime. "
        "Install them: pip install -c constraints.txt tf2onnx onnx onnxruntime"
    )

from __future__ import annotations

import importlib.util

import pytest

from pipeline.errors import UsageError
from pipeline.export.formats import check_installed


def test_an_absent_package_is_named_with_the_extra_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    check_installed("saved_model")
    with pytest.raises(UsageError) as refused:
        check_installed("onnx")
    assert str(refused.value) == (
        "The format onnx needs what is not installed: tf2onnx, onnx, onnxruntime. Install "
        "the extra 'onnx' of this package: pip install -c constraints.txt -e '.[onnx]'"
    )

"""Importing TensorFlow, Keras and MLflow."""

from __future__ import annotations

import gc
import importlib
import sys
from types import ModuleType

import pytest

from pipeline.backend import quiet_imports


def test_garbage_is_not_collected_in_what_was_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    gc.unfreeze()
    with quiet_imports():
        assert not gc.isenabled()
        monkeypatch.setitem(sys.modules, "imported", ModuleType("imported"))
    assert gc.isenabled()
    assert gc.get_freeze_count() > 0


def test_garbage_is_collected_as_before_if_nothing_is_imported() -> None:
    gc.unfreeze()
    with quiet_imports():
        pass
    assert gc.get_freeze_count() == 0


def test_garbage_collection_continues_if_an_import_fails() -> None:
    with pytest.raises(ModuleNotFoundError), quiet_imports():
        importlib.import_module("no_such_module")
    assert gc.isenabled()

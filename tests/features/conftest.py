"""What tests of frozen networks share."""

from __future__ import annotations

import pytest


@pytest.fixture
def bfloat16(has_bfloat16: bool) -> None:
    if not has_bfloat16:
        pytest.skip("TensorFlow cannot convolve in bfloat16 here")

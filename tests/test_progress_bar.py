from __future__ import annotations

import pytest

from pipeline.progress_bar import format_duration


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0.4, "0:00"), (61, "1:01"), (3599.6, "1:00:00"), (7325, "2:02:05")]
)
def test_a_duration_has_hours_from_an_hour_on(seconds: float, expected: str) -> None:
    assert format_duration(seconds) == expected

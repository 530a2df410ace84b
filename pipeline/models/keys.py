"""The key that every architecture has."""

from __future__ import annotations

from typing import Any, Literal

from pipeline.section import Section

Output = Literal["softmax", "sigmoid"]


class ArchitectureKeys(Section):
    """What looks at the images."""

    architecture: Any

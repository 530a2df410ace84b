"""The key that every architecture has."""

from __future__ import annotations

from typing import Any

from pipeline.section import Section


class ArchitectureKeys(Section):
    """What looks at the images."""

    architecture: Any

"""The table of data sources."""

from __future__ import annotations

from pipeline.data.digits import DigitsConfig
from pipeline.data.generated import GeneratedConfig
from pipeline.data.image_folder import ImageFolderConfig
from pipeline.data.image_table import TableConfig
from pipeline.data.mnist import MnistConfig
from pipeline.data.number_table import NumberTableConfig
from pipeline.data.source_config import SourceConfig

SOURCES: dict[str, type[SourceConfig]] = {
    "digits": DigitsConfig,
    "generated": GeneratedConfig,
    "image_folder": ImageFolderConfig,
    "mnist": MnistConfig,
    "table": TableConfig,
}

# By source, a key with which its examples are others, and the section that it belongs to.
VARIANTS: dict[str, tuple[str, type[SourceConfig]]] = {"table": ("features", NumberTableConfig)}

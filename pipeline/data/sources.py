"""The table of data sources."""

from __future__ import annotations

from pipeline.data.digits import DigitsConfig
from pipeline.data.generated import GeneratedConfig
from pipeline.data.image_folder import ImageFolderConfig
from pipeline.data.image_table import TableConfig
from pipeline.data.mnist import MnistConfig
from pipeline.data.source_config import SourceConfig

SOURCES: dict[str, type[SourceConfig]] = {
    "digits": DigitsConfig,
    "generated": GeneratedConfig,
    "image_folder": ImageFolderConfig,
    "mnist": MnistConfig,
    "table": TableConfig,
}

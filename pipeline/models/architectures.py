"""The table of architectures."""

from __future__ import annotations

from pipeline.models.architecture_config import ArchitectureConfig
from pipeline.models.lenet import LeNetConfig
from pipeline.models.mlp import MLPConfig
from pipeline.models.transfer import TransferConfig

ARCHITECTURES: dict[str, type[ArchitectureConfig]] = {
    "lenet": LeNetConfig,
    "mlp": MLPConfig,
    "transfer": TransferConfig,
}

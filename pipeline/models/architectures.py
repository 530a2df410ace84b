"""The table of architectures."""

from __future__ import annotations

from pipeline.models.alexnet import AlexNetConfig
from pipeline.models.architecture_config import ArchitectureConfig
from pipeline.models.autoencoder import AutoencoderConfig
from pipeline.models.inception import InceptionConfig
from pipeline.models.lenet import LeNetConfig
from pipeline.models.mlp import MLPConfig
from pipeline.models.perceptron import PerceptronConfig
from pipeline.models.resnet import ResNetConfig
from pipeline.models.sequential_network import SequentialConfig
from pipeline.models.transfer import TransferConfig
from pipeline.models.vgg import VGGConfig

ARCHITECTURES: dict[str, type[ArchitectureConfig]] = {
    "alexnet": AlexNetConfig,
    "autoencoder": AutoencoderConfig,
    "inception": InceptionConfig,
    "lenet": LeNetConfig,
    "mlp": MLPConfig,
    "perceptron": PerceptronConfig,
    "resnet": ResNetConfig,
    "sequential": SequentialConfig,
    "transfer": TransferConfig,
    "vgg": VGGConfig,
}

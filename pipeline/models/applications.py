"""The networks of keras.applications: the module of each, and its smallest image size."""

from __future__ import annotations

from typing import NamedTuple


class Application(NamedTuple):
    """A network with ImageNet weights.

    Attributes:
        module: its module in keras.applications, with its `preprocess_input`.
        min_side: the smallest height and width in pixels.
    """

    module: str
    min_side: int


_NETWORKS = {
    "convnext": "ConvNeXtBase ConvNeXtLarge ConvNeXtSmall ConvNeXtTiny ConvNeXtXLarge",
    "densenet": "DenseNet121 DenseNet169 DenseNet201",
    "efficientnet": " ".join(f"EfficientNetB{number}" for number in range(8)),
    "efficientnet_v2": " ".join(
        f"EfficientNetV2{name}" for name in ["B0", "B1", "B2", "B3", "L", "M", "S"]
    ),
    "inception_resnet_v2": "InceptionResNetV2",
    "inception_v3": "InceptionV3",
    "mobilenet": "MobileNet",
    "mobilenet_v2": "MobileNetV2",
    "mobilenet_v3": "MobileNetV3Large MobileNetV3Small",
    "nasnet": "NASNetLarge NASNetMobile",
    "resnet": "ResNet50 ResNet101 ResNet152",
    "resnet_v2": "ResNet50V2 ResNet101V2 ResNet152V2",
    "vgg16": "VGG16",
    "vgg19": "VGG19",
    "xception": "Xception",
}
_MIN_SIDES = {"InceptionResNetV2": 75, "InceptionV3": 75, "Xception": 71}  # the others: 32

APPLICATIONS: dict[str, Application] = {
    name: Application(module, _MIN_SIDES.get(name, 32))
    for module, names in _NETWORKS.items()
    for name in names.split()
}

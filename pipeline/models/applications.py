"""The networks of keras.applications: the module of each, and its smallest image size."""

from __future__ import annotations

from typing import NamedTuple


class Application(NamedTuple):
    """A network with ImageNet weights."""

    module: str
    """Its module in keras.applications, with its `preprocess_input`."""
    min_side: int = 32
    """The smallest height and width in pixels."""


APPLICATIONS: dict[str, Application] = {
    "ConvNeXtBase": Application("convnext"),
    "ConvNeXtLarge": Application("convnext"),
    "ConvNeXtSmall": Application("convnext"),
    "ConvNeXtTiny": Application("convnext"),
    "ConvNeXtXLarge": Application("convnext"),
    "DenseNet121": Application("densenet"),
    "DenseNet169": Application("densenet"),
    "DenseNet201": Application("densenet"),
    "EfficientNetB0": Application("efficientnet"),
    "EfficientNetB1": Application("efficientnet"),
    "EfficientNetB2": Application("efficientnet"),
    "EfficientNetB3": Application("efficientnet"),
    "EfficientNetB4": Application("efficientnet"),
    "EfficientNetB5": Application("efficientnet"),
    "EfficientNetB6": Application("efficientnet"),
    "EfficientNetB7": Application("efficientnet"),
    "EfficientNetV2B0": Application("efficientnet_v2"),
    "EfficientNetV2B1": Application("efficientnet_v2"),
    "EfficientNetV2B2": Application("efficientnet_v2"),
    "EfficientNetV2B3": Application("efficientnet_v2"),
    "EfficientNetV2L": Application("efficientnet_v2"),
    "EfficientNetV2M": Application("efficientnet_v2"),
    "EfficientNetV2S": Application("efficientnet_v2"),
    "InceptionResNetV2": Application("inception_resnet_v2", 75),
    "InceptionV3": Application("inception_v3", 75),
    "MobileNet": Application("mobilenet"),
    "MobileNetV2": Application("mobilenet_v2"),
    "MobileNetV3Large": Application("mobilenet_v3"),
    "MobileNetV3Small": Application("mobilenet_v3"),
    "NASNetLarge": Application("nasnet"),
    "NASNetMobile": Application("nasnet"),
    "ResNet101": Application("resnet"),
    "ResNet101V2": Application("resnet_v2"),
    "ResNet152": Application("resnet"),
    "ResNet152V2": Application("resnet_v2"),
    "ResNet50": Application("resnet"),
    "ResNet50V2": Application("resnet_v2"),
    "VGG16": Application("vgg16"),
    "VGG19": Application("vgg19"),
    "Xception": Application("xception", 71),
}

"""The table of architectures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from pipeline.config import OutputActivation
from pipeline.models import lenet, mlp, transfer
from pipeline.models.regularization import RegularizationConfig

if TYPE_CHECKING:
    import keras


class Architecture(Protocol):
    """What an architecture's module holds."""

    CONFIG: type[Any]
    """The section of the recipe, with `architecture` as its name."""

    def build(
        self,
        config: Any,
        *,
        image_shape: tuple[int, int, int],
        classes: int,
        output: OutputActivation,
        regularization: RegularizationConfig,
    ) -> keras.Model:
        """Return the model.

        Args:
            config: the section of the recipe.
            image_shape: height, width and channels of the raw pixels, 0..255, that it takes.
            classes: the number of classes.
            output: a probability a class, or one sigmoid unit for the second of two classes.
            regularization: what the hidden layers are held back by.

        Raises:
            ModelError: if the section cannot be made into a model for such images.
        """


ARCHITECTURES: dict[str, Architecture] = {
    "lenet": lenet,
    "mlp": mlp,
    "transfer": transfer,
}

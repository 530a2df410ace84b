"""The interface of an architecture: the section of the recipe that describes and builds it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from pipeline.config import Config, Finding, RunReference
from pipeline.models.layers import OutputLayer, apply_output
from pipeline.models.regularization import RegularizationConfig
from pipeline.models.standardization import Standardize

if TYPE_CHECKING:
    import keras


class ArchitectureConfig(Config):
    """The keys that all architectures have.

    Attributes:
        takes_numbers: whether examples may be numbers that are no pixels of an image.
        draws_images: whether its output can be nothing but an image.
        learns_by_gradient: whether the model is trained with the optimizer and the loss of the
            recipe, not by a rule of its own.
        has_base: whether the model is a head on a base.
        always_normalizes: whether it has batch normalization, whatever `regularization` says.
        lists_layers: whether the recipe lists its layers, so that dropout and batch normalization
            are among them or nowhere.
    """

    takes_numbers: ClassVar[bool] = False
    learns_by_gradient: ClassVar[bool] = True
    has_base: ClassVar[bool] = False
    draws_images: ClassVar[bool] = False
    always_normalizes: ClassVar[bool] = False
    lists_layers: ClassVar[bool] = False

    architecture: Any
    weights: RunReference | None = Field(
        None,
        description="Start from the weights of a run with the same architecture: runs:/NAME, "
        "runs:/ID or models:/NAME@ALIAS. null: random weights.",
    )

    @property
    def has_frozen_base(self) -> bool:
        """Whether the model has a base that does not learn.

        The features of such a base can be cached, and the base can be fine-tuned.
        """
        return False

    @property
    def has_hidden_layers(self) -> bool:
        """Whether layers that learn precede the output layer, other than those of a base."""
        return True

    @property
    def has_dropout(self) -> bool:
        """Whether `regularization.dropout` is applied anywhere."""
        return self.has_hidden_layers

    @property
    def has_random_base(self) -> bool:
        """Whether the weights of the frozen base depend on the seed."""
        return False

    def build(
        self,
        *,
        input_shape: tuple[int, ...],
        output: OutputLayer,
        regularization: RegularizationConfig,
        standardize: Standardize,
    ) -> keras.Model:
        """Return the model, not compiled.

        Args:
            input_shape: height, width and channels of its input, raw pixels in 0..255; or how
                many other numbers an example has.
            output: the last layer.
            regularization: the section of the recipe.
            standardize: standardizes inputs as measured on the training examples.

        Raises:
            ModelError: if the model cannot be built for such inputs.
        """
        import keras

        inputs = keras.Input(input_shape, name="pixels" if len(input_shape) == 3 else "numbers")
        x = self.apply(inputs, standardize, regularization)
        outputs = apply_output(x, output, regularization)
        model = keras.Model(inputs, outputs, name=self.architecture)
        self.initialize(model)
        return model

    def initialize(self, model: keras.Model) -> None:
        """Set weights of a model that was built; by default, all stay random."""

    @abstractmethod
    def apply(
        self, inputs: Any, standardize: Standardize, regularization: RegularizationConfig
    ) -> Any:
        """Apply all layers but the output layer.

        Args:
            inputs: a symbolic batch of images (n, height, width, channels), or of other numbers
                (n, numbers), as in `build`.
            standardize: as in `build`; not every architecture uses it.
            regularization: the section of the recipe.

        Returns:
            The input of the output layer, (n, units).

        Raises:
            ModelError: if the model cannot be built for such inputs.
        """

    def problems(self) -> Iterator[Finding]:
        """Yield errors that the types of the keys do not catch, such as missing files."""
        return iter(())

    def output_layer(self, of_task: OutputLayer) -> OutputLayer:
        """Return the last layer of the model, by default the one that the task asks for."""
        return of_task

    def label_problem(self, label_kind: str, classes: int | None) -> str:
        """Return why the model cannot learn the labels, or an empty string.

        Args:
            label_kind: what a label is, as `Task.LABEL_KIND`.
            classes: their number; None if it is not known yet.
        """
        return ""

    def image_size_problem(self, height: int, width: int) -> str:
        """Return which image sizes the model accepts if not this one, else an empty string."""
        return ""

    def layer_problems(self, size: tuple[int, int] | None) -> Iterator[Finding]:
        """Yield what does not fit the inputs, with the path of its key below `model`.

        Args:
            size: height and width of the images; None for other numbers.
        """
        return iter(())

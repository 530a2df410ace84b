"""Points that are computed: data without a download whose answer is known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field

from pipeline.config import (
    Config,
    Expected,
    Finding,
    FiniteFloat,
    Fraction,
    NonEmptyString,
    NonNegativeFloat,
    PositiveFloat,
    Seed,
    SeveralInt,
    invalid_value,
    single_key_union,
    unwrap_single_key,
)
from pipeline.data.expression import ExpressionError, check_expression
from pipeline.data.source_config import SourceConfig, SplitName
from pipeline.data.splits import Splits, splits_from_arrays, stratified_split
from pipeline.tasks.tasks import TASKS

if TYPE_CHECKING:
    import numpy as np

_TRUTH_TABLES = ("and", "or", "nand", "xor")


def _ascending(pair: tuple[float, float]) -> tuple[float, float]:
    if pair[0] >= pair[1]:
        raise invalid_value("two ascending numbers, [lowest, highest]")
    return pair


def _checked(text: str) -> str:
    try:
        check_expression(text)
    except ExpressionError as error:
        reason = str(error)
        hint = f" {reason[0].upper()}{reason[1:]}."
        raise invalid_value("an expression of x, such as sin(2 * pi * x)", hint) from None
    return text


Interval = Annotated[
    tuple[FiniteFloat, FiniteFloat],
    AfterValidator(_ascending),
    Expected("two ascending numbers, [lowest, highest]"),
]
Expression = Annotated[NonEmptyString, AfterValidator(_checked)]


class SpiralsConfig(Config):
    """Two spirals around each other."""

    turns: PositiveFloat = Field(1.5, description="Turns of each spiral.")


class BlobsConfig(Config):
    """A normal distribution for each class, around points on a circle."""

    classes: SeveralInt = Field(3, description="Number of classes.")


class CurveConfig(Config):
    """A function of x."""

    interval: Interval = Field((0.0, 1.0), alias="range", description="Lowest and highest x.")


class LineConfig(CurveConfig):
    """A line."""

    slope: FiniteFloat = Field(2.0, description="Slope.")
    intercept: FiniteFloat = Field(1.0, description="Value at x = 0.")


class StepsConfig(CurveConfig):
    """A function that is constant on parts of the range, which have the same width."""

    heights: Annotated[tuple[FiniteFloat, ...], Field(min_length=1)] = Field(
        (0.0, 1.0, 0.0), description="Value on each part."
    )


class FunctionConfig(CurveConfig):
    """A function that the recipe writes."""

    expression: Expression = Field(
        description="Numbers, x, pi, + - * / **, brackets, sin, cos, exp, log, sqrt, abs and tanh."
    )


_CURVES: dict[str, type[Config]] = {
    "line": LineConfig,
    "steps": StepsConfig,
    "function": FunctionConfig,
}
_SECTIONS: dict[str, type[Config]] = {"spirals": SpiralsConfig, "blobs": BlobsConfig, **_CURVES}
_NAMES = (*_TRUTH_TABLES, "moons", "circles", "spirals", "blobs", "line", "steps")

Kind = Annotated[Any, single_key_union(_SECTIONS, names=_NAMES)]


class GeneratedConfig(SourceConfig):
    """Points that are computed: truth tables, figures in the plane, functions of one variable."""

    source: Literal["generated"]
    kind: Kind = Field(description="What the points show.")
    samples: SeveralInt = Field(
        200, description="Number of points. Of a truth table, the rows are repeated in turn."
    )
    noise: NonNegativeFloat = Field(
        0.0,
        description="Standard deviation of normal noise: of the points, or of the values of a "
        "function.",
    )
    validation: Fraction = Field(
        0.2,
        description="Fraction of the points for the validation split; 0: none, and the last epoch "
        "is kept.",
    )
    test: Fraction = Field(0.2, description="Fraction of the points for the test split.")
    split_seed: Seed = Field(
        0, description="Seed of the points, their noise and their split; independent of `seed`."
    )

    @property
    def kind_name(self) -> str:
        """The name of what the points show."""
        return self.kind if isinstance(self.kind, str) else unwrap_single_key(self.kind)[0]

    @property
    def tasks(self) -> tuple[str, ...]:
        return ("regression",) if self.kind_name in _CURVES else ("classification",)

    @property
    def feature_names(self) -> tuple[str, ...]:
        return ("x",) if self.kind_name in _CURVES else ("x1", "x2")

    def problems(self) -> Iterator[Finding]:
        if self.validation + self.test >= 1:
            yield (
                ("validation",),
                "expected less than 1 for the sum of validation and test. "
                f"Received {self.validation:g} + {self.test:g}.",
            )

    def has_split(self, name: SplitName) -> bool:
        return {"val": self.validation, "test": self.test}[name] > 0

    def class_names(self) -> tuple[str, ...]:
        if self.kind_name in _CURVES:
            return ()
        classes = self._section().classes if self.kind_name == "blobs" else 2
        return tuple(map(str, range(classes)))

    def load(self) -> Splits:
        import numpy as np

        generator = np.random.default_rng(self.split_seed)
        points, labels = self._draw(generator)
        if self.kind_name in _CURVES:
            noisy = labels + generator.normal(0, self.noise, labels.shape)
            labels = noisy.astype(np.float32)
        else:
            points = points + generator.normal(0, self.noise, points.shape)
        task = TASKS[self.task]
        return splits_from_arrays(
            points.astype(np.float32),
            labels,
            class_names=self.class_names(),
            parts=stratified_split(
                task.strata(labels),
                fractions=(self.validation, self.test),
                seed=self.split_seed,
            ),
            feature_names=self.feature_names,
            task=task,
        )

    def _section(self) -> Any:
        """Return the keys of the kind, None if it has none."""
        if isinstance(self.kind, str):
            return _SECTIONS[self.kind]() if self.kind in _SECTIONS else None
        return unwrap_single_key(self.kind)[1]

    def _draw(self, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return new points, float64 (n, d), and their labels."""
        from pipeline.data import generated_points as points

        name, samples, section = self.kind_name, self.samples, self._section()
        if name in points.TRUTH_TABLES:
            return points.truth_table(points.TRUTH_TABLES[name], samples)
        if name == "moons":
            return points.moons(samples)
        if name == "circles":
            return points.circles(samples)
        if name == "spirals":
            return points.spirals(samples, section.turns)
        if name == "blobs":
            return points.blobs(samples, section.classes, generator)
        if name == "line":
            return points.curve(
                lambda x: section.slope * x + section.intercept, section.interval, samples
            )
        if name == "steps":
            function = points.staircase(section.heights, section.interval)
            return points.curve(function, section.interval, samples)
        return points.curve(
            lambda x: points.expression_values(section.expression, x), section.interval, samples
        )

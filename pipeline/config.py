"""The base class and the value types of a recipe's sections.

A section is a frozen pydantic model that rejects unknown keys. The type of a field defines which
values are valid and, with `Expected`, how error messages describe them. Each package
declares its own sections next to the code that uses them; `pipeline.recipe.grammar` combines them.
"""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    ValidationError,
    create_model,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError, core_schema

from pipeline.addresses import is_remote

KeyPath = tuple[str | int, ...]
Finding = tuple[KeyPath, str]  # the path of a key and what is wrong with its value


class Config(BaseModel):
    """A section of a recipe: frozen, and unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    @model_validator(mode="wrap")
    @classmethod
    def _list_known_keys(cls, value: Any, handler: Any) -> Any:
        if not isinstance(value, dict | cls):
            raise invalid_value("a section with keys and values")
        try:
            return handler(value)
        except ValidationError as error:
            raise ValidationError.from_exception_data(
                cls.__name__, [_with_known_keys(detail, cls) for detail in error.errors()]
            ) from None


def key_names(section: type[Config]) -> list[str]:
    """Return the keys of a section as they appear in a recipe."""
    return [field.alias or name for name, field in section.model_fields.items()]


def invalid_value(wording: str, hint: str = "") -> PydanticCustomError:
    """Return an error that is reported as `expected {wording}. Received ….{hint}`."""
    return PydanticCustomError("expected", "{wording}", {"wording": wording, "hint": hint})


def _with_known_keys(detail: Any, section: type[Config]) -> InitErrorDetails:
    """Return arguments to raise an error again, with the known keys added to an unknown key's."""
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden" and len(detail["loc"]) == 1:
        kind = PydanticCustomError("unknown_key", "unknown key", {"keys": key_names(section)})
    elif kind in ("expected", "unknown_key", "choice"):
        kind = PydanticCustomError(kind, "invalid", context)
    return InitErrorDetails(type=kind, loc=detail["loc"], input=detail["input"], ctx=context)


class LocatedString(str):
    """A string with the directory that it is relative to if it is a path."""

    __slots__ = ("directory",)
    directory: Path

    @classmethod
    def at(cls, text: str, directory: Path) -> LocatedString:
        """Return `text` as read from a file in `directory`, or typed there on a command line."""
        located = cls(text)
        located.directory = directory
        return located


@dataclass(frozen=True)
class Expected:
    """Type metadata: any invalid value is reported as `expected {wording}`."""

    wording: str

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        return core_schema.no_info_wrap_validator_function(self._validate, handler(source))

    def _validate(self, value: Any, handler: Any) -> Any:
        try:
            return handler(value)
        except ValidationError:
            raise invalid_value(self.wording) from None


def absolute_path(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if not value:  # Path("") is the working directory
        raise invalid_value("a path")
    directory = value.directory if isinstance(value, LocatedString) else Path.cwd()
    try:
        path = Path(value).expanduser()
    except RuntimeError:  # ~name of an unknown user
        raise invalid_value("a path") from None
    return Path(directory, path).absolute()


_FINITE = Field(allow_inf_nan=False)

MetricName = Annotated[str, Strict(), Expected("the name of a metric")]
NonEmptyString = Annotated[str, Strict(), Field(min_length=1), Expected("a non-empty string")]
Bool = Annotated[bool, Strict(), Expected("true or false")]
PositiveInt = Annotated[int, Strict(), Field(ge=1), Expected("an integer, 1 or more")]
SeveralInt = Annotated[int, Strict(), Field(ge=2), Expected("an integer, 2 or more")]
NonNegativeInt = Annotated[int, Strict(), Field(ge=0), Expected("an integer, 0 or more")]
Seed = Annotated[int, Strict(), Field(ge=0, lt=2**31), Expected("an integer from 0 to 2147483647")]
PositiveFloat = Annotated[float, Strict(), _FINITE, Field(gt=0), Expected("a number above 0")]
NonNegativeFloat = Annotated[float, Strict(), _FINITE, Field(ge=0), Expected("a number, 0 or more")]
FiniteFloat = Annotated[float, Strict(), _FINITE, Expected("a number")]
Fraction = Annotated[float, Strict(), Field(ge=0, lt=1), Expected("a number from 0 to less than 1")]
OpenFraction = Annotated[float, Strict(), Field(gt=0, lt=1), Expected("a number between 0 and 1")]
ClosedFraction = Annotated[float, Strict(), Field(ge=0, le=1), Expected("a number from 0 to 1")]
PositiveFraction = Annotated[
    float, Strict(), Field(gt=0, le=1), Expected("a number above 0 up to 1")
]
NonPositiveFloat = Annotated[float, Strict(), _FINITE, Field(le=0), Expected("a number, 0 or less")]
# Numbers that Keras computes with in float32, where smaller ones are 0 and larger ones are 1.
PositiveFloat32 = Annotated[
    float, Strict(), _FINITE, Field(ge=1e-37), Expected("a number above 0 in float32")
]
Fraction32 = Annotated[
    float, Strict(), Field(ge=0, le=1 - 1e-7), Expected("a number from 0 to less than 1 in float32")
]
Factor = Annotated[float, Strict(), Field(ge=-1, le=1), Expected("a number from -1 to 1")]
FilePath = Annotated[Path, BeforeValidator(absolute_path), Expected("a path")]


def _storage(value: Any) -> Any:
    is_address = isinstance(value, str) and is_remote(value)
    return value if is_address or not isinstance(value, str) else str(absolute_path(value))


StorageAddress = Annotated[
    str, BeforeValidator(_storage), Expected("a path, or an address such as s3://BUCKET/FOLDER")
]
ClusterAddress = Annotated[
    str,
    Strict(),
    Field(pattern=r"^(local|auto|ray://[^/\s]+:\d{1,5})$"),
    Expected("local, auto or ray://HOST:PORT"),
]
RunReference = Annotated[
    str,
    Strict(),
    Field(pattern=r"^(runs|models):/.+$"),
    Expected("runs:/NAME, runs:/ID or models:/NAME@ALIAS"),
]
ImageSize = Annotated[
    tuple[PositiveInt, PositiveInt], Expected("two integers, [height, width], in pixels")
]


def _ascending(pair: tuple[float, float]) -> tuple[float, float]:
    if pair[0] >= pair[1]:
        raise ValueError("not ascending")
    return pair


RangeSetting = Annotated[
    Literal["auto", "dtype"]
    | Annotated[tuple[FiniteFloat, FiniteFloat], AfterValidator(_ascending)],
    Expected("auto, dtype, or two ascending numbers, [lowest, highest]"),
]


_SECONDS = {"h": 3600, "m": 60, "s": 1}


def duration_seconds(duration: str) -> float:
    """Return the seconds of a duration such as `1h30m`."""
    parts = re.findall(r"(\d+)([hms])", duration)
    return float(sum(int(count) * _SECONDS[unit] for count, unit in parts))


def _above_zero(duration: str) -> str:
    if not duration_seconds(duration):
        raise ValueError("no time")
    return duration


Duration = Annotated[
    str,
    Field(pattern=r"^(\d{1,6}h)?(\d{1,6}m)?(\d{1,6}s)?$", min_length=2),
    AfterValidator(_above_zero),
    Expected("a duration such as 90s, 10m or 1h30m"),
]


@dataclass(frozen=True, eq=False)  # by identity: typing hashes what is in Annotated
class TaggedUnion:
    """Type metadata: a name in the value selects the section class that validates it.

    Attributes:
        classes: section class by name.
        key: the key with the name; None if the name is the only key of the value, as in
            `random_flip: {mode: horizontal}`.
        default: the name if the key is missing.
        names: strings that are valid values too, without a section.
        variants: by name, a key and the section class of the values that have it.
    """

    classes: Mapping[str, type[Config]]
    key: str | None
    default: str | None = None
    names: tuple[str, ...] = ()
    variants: Mapping[str, tuple[str, type[Config]]] = field(default_factory=dict)

    @property
    def alternatives(self) -> dict[str, type[Config]]:
        """All section classes by a name for people, such as `table with features`."""
        found: dict[str, type[Config]] = {}
        for name, section in self.classes.items():
            found[name] = section
            if name in self.variants:
                key, variant = self.variants[name]
                found[f"{name} with {key}"] = variant
        return found

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        # The union under the function is only used for the JSON Schema.
        union: Any = functools.reduce(operator.or_, self.alternatives.values())
        if self.names:
            union = Literal[self.names] | union
        return core_schema.no_info_wrap_validator_function(self._choose, handler(union))

    def _choose(self, value: Any, _: Any) -> Any:
        is_name = isinstance(value, str) and value in self.names
        if is_name or isinstance(value, tuple(self.alternatives.values())):
            return value
        if not self.key:
            name = next(iter(value)) if isinstance(value, dict) and len(value) == 1 else None
        elif isinstance(value, dict):
            name = value.get(self.key, self.default)
        else:
            raise invalid_value("a section with keys and values")
        if not isinstance(name, str) or name not in self.classes:
            choices = [*dict.fromkeys((*self.names, *self.classes))]
            context = {"key": self.key or "", "choices": choices, "names": [*self.names]}
            raise PydanticCustomError("choice", "unknown choice", context)
        key, variant = self.variants.get(name, ("", self.classes[name]))
        return (variant if key in value else self.classes[name]).model_validate(value)


def single_key_union(
    classes: Mapping[str, type[Config]], *, names: tuple[str, ...] = ()
) -> TaggedUnion:
    """Return the union of mappings with one key, the name of the section that is its value.

    The validated value is a section with that key as its only field; see `unwrap_single_key`.

    Args:
        classes: section class by name.
        names: strings that are valid values too, without a section.
    """
    entries = {
        name: create_model(
            f"{section.__name__}Entry",
            __base__=Config,
            **{name: (section, Field(..., description=section.__doc__))},  # type: ignore[call-overload]
        )
        for name, section in classes.items()
    }
    return TaggedUnion(entries, key=None, names=names)


def is_run_reference(value: Any) -> bool:
    """Return whether a valid value names a run, as `RunReference` does."""
    return isinstance(value, str) and value.startswith(("runs:/", "models:/"))


def unwrap_single_key(entry: Config) -> tuple[str, Any]:
    """Return the name and the section of a value that `single_key_union` validated."""
    (name,) = type(entry).model_fields
    return name, getattr(entry, name)


Activation = Literal[
    "elu", "gelu", "leaky_relu", "linear", "relu", "selu", "sigmoid", "silu", "softplus", "tanh"
]

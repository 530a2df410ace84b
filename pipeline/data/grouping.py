"""Groups of files that belong in one split: the images of a patient, the frames of a video."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, Field, Strict, model_validator

from pipeline.config import Config, NonEmptyString, PositiveInt, invalid_value, key_names
from pipeline.data.file_walk import may_be_image
from pipeline.errors import DataError, escape_unprintable

if TYPE_CHECKING:
    import numpy as np

_EXAMPLES = 3


def _with_one_group(pattern: str) -> str:
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        raise invalid_value(f"a regular expression ({error})") from None
    if groups != 1:
        raise invalid_value(r"a regular expression with one group, as in (patient\d+)")
    return pattern


class GroupByConfig(Config):
    """What tells which files belong in the same split. Exactly one key."""

    level: PositiveInt | None = Field(
        None,
        description="Directory whose name is the group, counted from 1 below that of the class.",
    )
    pattern: Annotated[str, Strict(), AfterValidator(_with_one_group)] | None = Field(
        None,
        description="Regular expression, searched in the path below the directory of the class; "
        "its group in parentheses is the group.",
    )

    @model_validator(mode="after")
    def _has_one_key(self) -> GroupByConfig:
        return _one_of(self)

    def group_names(self, keys: Sequence[str]) -> list[str]:
        """Return the group of each file; a file that is no image by its name is one of its own.

        Args:
            keys: the path of each file below the directory of its class.

        Raises:
            DataError: if an image has no group.
        """
        if self.pattern:
            search = re.compile(self.pattern).search
            matches = [search(key) for key in keys]
            names = [match.group(1) or "" if match else "" for match in matches]
            problem = f"the pattern {self.pattern} finds no group in"
        else:
            level = self.level or 1
            parts = [key.split("/") for key in keys]
            names = [part[level - 1] if len(part) > level else "" for part in parts]
            problem = f"below the directory of their class, no directory at level {level} is above"
        pairs = [*zip(keys, names, strict=True)]
        without = [key for key, name in pairs if not name and may_be_image(key)]
        if without:
            shown = ", ".join(map(escape_unprintable, without[:_EXAMPLES]))
            more = f" and {len(without) - _EXAMPLES:,} more" if len(without) > _EXAMPLES else ""
            raise DataError(
                f"data.group_by: {problem} {len(without):,} of {len(keys):,} files: {shown}{more}."
            )
        return [name or key for key, name in pairs]


class TableGroupByConfig(GroupByConfig):
    """What tells which rows belong in the same split. Exactly one key."""

    column: NonEmptyString | None = Field(None, description="Column whose value is the group.")


def _one_of(config: Any) -> Any:
    given = [name for name in type(config).model_fields if getattr(config, name) is not None]
    if len(given) != 1:
        raise invalid_value(f"one key of: {', '.join(key_names(type(config)))}")
    return config


def number_groups(names: Sequence[str]) -> np.ndarray:
    """Return the same number, int64 (n,), for the same name."""
    import numpy as np

    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(name, len(numbers)) for name in names], np.int64)

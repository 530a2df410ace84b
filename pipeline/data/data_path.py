"""The path or the address of data, as a recipe has it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import core_schema

from pipeline.addresses import protocol_of
from pipeline.config import Expected, absolute_path, invalid_value
from pipeline.data.remote_path import AnyPath, RemotePath, any_path

_WORDING = "a path, or an address such as s3://BUCKET/FOLDER"


class _PathOrAddress(Expected):
    """Type metadata: how a path in a recipe is validated, and written as a string."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            _validate,
            json_schema_input_schema=core_schema.str_schema(),
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda path: path.url if isinstance(path, RemotePath) else str(path),
                return_schema=core_schema.str_schema(),
                when_used="json",
            ),
        )


def _validate(value: Any) -> AnyPath:
    if isinstance(value, Path | RemotePath):
        return value
    if not isinstance(value, str):
        raise invalid_value(_WORDING)
    if not protocol_of(value):
        path: Path = absolute_path(value)
        return path
    try:
        return any_path(value)
    except ValueError as error:
        raise invalid_value(str(error).removeprefix("expected ")) from None


DataPath = Annotated[AnyPath, _PathOrAddress(_WORDING)]

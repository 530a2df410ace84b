"""Reads tables: CSV, TSV, JSON lines and Parquet, with every value as it is written."""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.data.remote_path import DEFAULT_CACHE_BYTES, AnyPath, RemotePath
from pipeline.errors import BadInputError, DataError, PipelineError

_DELIMITERS = (",", ";", "\t", "|")


@dataclass(frozen=True)
class Table:
    """The columns of a table.

    Attributes:
        path: the file, or a remote one.
        columns: the values of each column by its name: strings, lists where the file has them, and
            None for no value.
        lines: where each row begins in the file, from 1; the number of the row in a Parquet file.
    """

    path: AnyPath
    columns: dict[str, list[Any]]
    lines: Sequence[int]

    def where(self, row: int) -> str:
        """Return where a row is, for a message."""
        unit = "row" if self.path.suffix.lower() in PARQUET_SUFFIXES else "line"
        return f"{unit} {self.lines[row]}"


def read_table(path: AnyPath, cache_bytes: int = DEFAULT_CACHE_BYTES) -> Table:
    """Return the columns of a table.

    Numbers, dates and words such as NA and no stay as they are written.

    Args:
        path: the file, or a remote one.
        cache_bytes: what the downloaded files of this machine may take together.

    Raises:
        DataError: if the file cannot be read, is damaged, or has no rows.
    """
    read = _READERS.get(path.suffix.lower())
    if read is None:
        raise DataError(
            f"data.path: {path} is not a table that can be read. Expected a file with one of these "
            f"suffixes: {', '.join(_READERS)}."
        )
    table = read(path, _content(path, cache_bytes))
    if not table.lines:
        raise DataError(f"data.path: {path} has no rows.")
    return table


def _content(path: AnyPath, cache_bytes: int) -> bytes:
    if not isinstance(path, RemotePath):
        try:
            return path.read_bytes()
        except OSError as error:
            raise DataError(f"data.path: {path} cannot be read: {error.strerror}.") from None
    from pipeline.data.remote_files import read_remote_file
    from pipeline.download_cache import DownloadCache

    try:
        return read_remote_file(path, DownloadCache(cache_bytes))
    except BadInputError as error:
        raise DataError(f"data.path: {path} cannot be read: {error}.") from None
    except PipelineError as error:
        raise DataError(f"data.path: {error}") from None


def _read_csv(path: AnyPath, data: bytes) -> Table:
    text = _text_of(path, data)
    header = next((line for line in text.splitlines() if line.strip()), "")
    first = "\t" if path.suffix.lower() != ".csv" else ","
    delimiters = sorted(_DELIMITERS, key=lambda delimiter: delimiter != first)
    delimiter = max(delimiters, key=lambda one: len(next(csv.reader([header], delimiter=one), [])))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    names: list[str] = []
    columns: list[list[str]] = []
    lines: list[int] = []
    for line, row in _numbered(reader, path):
        if not names:
            names = [name.strip() for name in row]
            check_names(names, path)
            columns = [[] for _ in names]
            continue
        if len(row) != len(names):
            raise DataError(
                f"data.path: {path}:{line}: expected {len(names)} values, as many as there are "
                f"columns. Received {len(row)}."
            )
        for column, value in zip(columns, row, strict=True):
            column.append(value)
        lines.append(line)
    return Table(path, dict(zip(names, columns, strict=True)), lines)


def _numbered(reader: Any, path: AnyPath) -> Iterator[tuple[int, list[str]]]:
    """Yield each row that is not empty, with the line that it begins in."""
    line = 1
    try:
        for row in reader:
            if row:
                yield line, row
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"data.path: {path}:{line}: the row is damaged: {error}.") from None


def check_names(names: Sequence[str], path: object) -> None:
    """Check that each column of a table has a name of its own.

    Raises:
        DataError: if one does not.
    """
    repeated = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if repeated:
        raise DataError(
            f"data.path: {path} has several columns with the name {repeated[0] or '(empty)'}."
        )


def _read_json_lines(path: AnyPath, data: bytes) -> Table:
    columns: dict[str, list[Any]] = {}
    lines: list[int] = []
    for line, text in enumerate(_text_of(path, data).split("\n"), start=1):
        if not text.strip():
            continue
        try:
            row = json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
        except (ValueError, RecursionError) as error:
            reason = str(error).partition(":")[0]
            raise DataError(f"data.path: {path}:{line}: not JSON: {reason}.") from None
        if not isinstance(row, dict):
            raise DataError(
                f"data.path: {path}:{line}: expected a JSON object, as in "
                '{"image": "1.jpg", "label": "ant"}.'
            )
        for name in [name for name in row if name not in columns]:
            columns[name] = [None] * len(lines)
        for name, column in columns.items():
            column.append(_as_text(row.get(name)))
        lines.append(line)
    return Table(path, columns, lines)


def _read_parquet(path: AnyPath, data: bytes) -> Table:
    from pyarrow import ArrowException, BufferReader, parquet

    try:
        table = parquet.ParquetFile(BufferReader(data)).read()
    except ArrowException as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"data.path: {path} is not a Parquet file: {reason}") from None
    check_names(table.column_names, path)
    columns = {
        name: [_as_text(value) for value in column.to_pylist()]
        for name, column in zip(table.column_names, table.columns, strict=True)
    }
    return Table(path, columns, range(1, table.num_rows + 1))


def _as_text(value: Any) -> Any:
    if value is None or isinstance(value, str | list):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


def _text_of(path: AnyPath, data: bytes) -> str:
    encoding = "utf-8-sig"
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"  # which spreadsheets call Unicode text
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"data.path: {path}:{line}: the file is not {encoding.removesuffix('-sig').upper()}. "
            "Save it as UTF-8."
        ) from None


PARQUET_SUFFIXES = (".parquet", ".pq")
_READERS: dict[str, Callable[[AnyPath, bytes], Table]] = {
    **dict.fromkeys((".csv", ".tsv", ".tab"), _read_csv),
    **dict.fromkeys((".jsonl", ".ndjson"), _read_json_lines),
    **dict.fromkeys(PARQUET_SUFFIXES, _read_parquet),
}

TABLE_SUFFIXES = frozenset(_READERS)

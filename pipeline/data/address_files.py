"""Opens files by their path, or by their address, such as `s3://bucket/photographs.tar`."""

from __future__ import annotations

from pathlib import Path
from typing import IO

from pipeline.addresses import is_remote
from pipeline.data.image_decoding import MAX_BYTES, BadImageError
from pipeline.errors import DataError, PipelineError, first_line
from pipeline.secrets import mask_credentials
from pipeline.storage import file_system

_BLOCK_BYTES = 8 * 2**20  # that are read at once from a remote file


def open_address(address: str) -> IO[bytes]:
    """Open a file, which is read from its beginning to its end, for reading.

    Raises:
        DataError: if it cannot be opened.
    """
    try:
        if not is_remote(address):
            if Path(address).exists() and not Path(address).is_file():  # a pipe may never end
                raise DataError(f"{address} is not a regular file.")
            return open(address, "rb")  # noqa: PTH123, the caller closes it
        system, path = file_system(address)
        opened: IO[bytes] = system.open(path, "rb", block_size=_BLOCK_BYTES, cache_type="readahead")
        return opened
    except PipelineError:
        raise
    except Exception as error:  # each file system has errors of its own
        raise _data_error(address, error) from None


def read_address(address: str) -> bytes:
    """Return the bytes of a remote image.

    Raises:
        BadImageError: if there is no such file, it may not be read, or is larger than `MAX_BYTES`.
        DataError: if the storage does not answer.
    """
    system, path = file_system(address)
    try:
        if system.info(path)["size"] > MAX_BYTES:
            raise BadImageError(f"larger than {MAX_BYTES:,} bytes")
        return bytes(system.cat_file(path))
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise BadImageError(error.strerror or "it cannot be read") from None
    except BadImageError:
        raise
    except Exception as error:
        raise _data_error(address, error) from None


def _data_error(address: str, error: Exception) -> DataError:
    reason = getattr(error, "strerror", None) or first_line(error) or type(error).__name__
    return DataError(f"{mask_credentials(address)} cannot be read: {reason}.")

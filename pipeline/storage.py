"""A folder that several machines write to: on a disk that they share, or what fsspec reaches."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fsspec.core import url_to_fs

from pipeline.addresses import is_remote, protocol_of
from pipeline.atomic_files import atomic_write
from pipeline.errors import PipelineError, first_line
from pipeline.secrets import mask_credentials

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

# The extra of this package that a protocol needs.
_EXTRAS = {
    "s3": "s3",
    "s3a": "s3",
    "gs": "gcs",
    "gcs": "gcs",
    "https": "http",
    "http": "http",
}


@dataclass(frozen=True)
class Storage:
    """A folder of files that are written whole or not at all.

    It can be sent to other processes, and holds no connection.

    Attributes:
        address: a directory, or an address such as `s3://bucket/folder`.
    """

    address: str

    def __str__(self) -> str:
        """Return the address for people, without passwords and tokens."""
        return mask_credentials(self.address)

    def exists(self, name: str) -> bool:
        """Return whether there is a file.

        Raises:
            PipelineError: if the storage does not answer.
        """
        return bool(self._call("exists", name))

    def read_bytes(self, name: str) -> bytes:
        """Return the content of a file.

        Raises:
            FileNotFoundError: if there is none.
            PipelineError: if the storage does not answer.
        """
        return bytes(self._call("cat_file", name))

    def write_bytes(self, name: str, content: bytes | memoryview) -> None:
        """Write or replace a file atomically.

        Args:
            name: of the file, with `/` between the parts.
            content: all of it.

        Raises:
            PipelineError: if it cannot be written.
        """
        if is_remote(self.address):  # an object appears when all of it is there
            try:
                self._call("pipe_file", name, bytes(content))
            except FileNotFoundError as error:  # of the bucket
                raise PipelineError(f"Cannot write to {self}: {error}.") from None
            return
        path = Path(self.address, name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            atomic_write(path, content)
        except OSError as error:
            raise PipelineError(f"Cannot write to {path}: {error.strerror or error}.") from None

    def names(self, folder: str = "") -> list[str]:
        """Return the names of the files in a folder and below it, sorted, relative to the storage.

        Raises:
            PipelineError: if the storage does not answer.
        """
        start = len(self._file_system()[1].rstrip("/")) + 1
        return sorted(path[start:] for path in self._call("find", folder))

    def remove(self, folder: str) -> None:
        """Remove a folder with all that is in it, if it exists.

        Raises:
            PipelineError: if it cannot be removed.
        """
        if self.exists(folder):
            self._call("rm", folder, recursive=True)

    def _call(self, method: str, name: str, *arguments: Any, **options: Any) -> Any:
        system, root = self._file_system()
        path = "/".join(part for part in (root.rstrip("/"), name) if part)
        try:
            return getattr(system, method)(path, *arguments, **options)
        except FileNotFoundError:
            raise
        except Exception as error:  # each file system has errors of its own
            raise PipelineError(
                f"{self} cannot be used: {first_line(error)}. Check the address and the "
                "credentials in the environment."
            ) from None

    def _file_system(self) -> tuple[AbstractFileSystem, str]:
        """Return the file system and the path of the folder in it."""
        return file_system(self.address)


def file_system(address: str) -> tuple[AbstractFileSystem, str]:
    """Return the file system of an address and the path in it.

    Raises:
        PipelineError: if the package for it is not installed.
    """
    protocol = protocol_of(address)
    try:
        # What another process has written meanwhile is there, too.
        system, path = url_to_fs(address, **({"use_listings_cache": False} if protocol else {}))
    except ImportError:
        extra = _EXTRAS.get(protocol)
        remedy = f"pip install 'pipeline[{extra}]'" if extra else f"a package for {protocol}://"
        raise PipelineError(f"{protocol}:// addresses need a package: {remedy}.") from None
    except ValueError as error:
        raise PipelineError(
            f"{mask_credentials(address)} is no address that can be used: {error}."
        ) from None
    return system, str(path)

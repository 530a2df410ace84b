"""Download an archive, verify its checksum and unpack it safely."""

from __future__ import annotations

import hashlib
import http.client
import logging
import os
import tarfile
import tempfile
import urllib.error
import urllib.request
import zipfile
from pathlib import Path
from typing import Annotated

from pydantic import Field

from pipeline.config import Config, Expected
from pipeline.errors import DataError

logger = logging.getLogger(__name__)

_CHUNK_BYTES = 2**20
_MAX_UNPACKED_BYTES = 200 * 2**30  # against decompression bombs

Url = Annotated[str, Field(pattern=r"^(https?|file)://\S+$"), Expected("a URL, https://…")]
Sha256 = Annotated[
    str, Field(pattern=r"^[0-9a-fA-F]{64}$"), Expected("64 hexadecimal digits, quoted")
]


class DownloadConfig(Config):
    """An archive to download if the data does not exist."""

    url: Url = Field(description="URL of a .zip, .tar, .tar.gz, .tar.bz2 or .tar.xz file.")
    sha256: Sha256 = Field(description="SHA-256 of the archive. Any other archive is rejected.")


def download_archive(download: DownloadConfig, directory: Path) -> None:
    """Create `directory` atomically from an archive of its contents, or of one such directory.

    Raises:
        DataError: if the archive cannot be downloaded, has another checksum, or would write
            outside its directory.
    """
    parent = directory.parent
    try:
        parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=parent, prefix=".download-") as scratch:
            archive = Path(scratch, "archive")
            _retrieve(download, archive)
            unpacked = Path(scratch, "unpacked")
            unpacked.mkdir()
            _unpack(archive, unpacked)
            entries = [entry for entry in unpacked.iterdir() if entry.name != "__MACOSX"]
            content = entries[0] if len(entries) == 1 and entries[0].is_dir() else unpacked
            content.replace(directory)
    # A malformed URL raises a ValueError or, from http.client, an HTTPException.
    except (OSError, ValueError, http.client.HTTPException) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()
        raise DataError(
            f"data.download: {download.url} could not be downloaded to {parent} ({error}). "
            f"Download it yourself and unpack it to {directory}."
        ) from None


def _retrieve(download: DownloadConfig, archive: Path) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    logger.info(f"Downloading {download.url}")
    digest = hashlib.sha256()
    columns = (TextColumn("  {task.description}"), BarColumn(), DownloadColumn())
    # The recipe only accepts http, https and file URLs.
    with (
        urllib.request.urlopen(download.url, timeout=60) as response,
        archive.open("wb") as file,
        Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as progress,
    ):
        length = response.headers.get("Content-Length")
        task = progress.add_task("download", total=int(length) if length else None)
        while chunk := response.read(_CHUNK_BYTES):
            digest.update(chunk)
            file.write(chunk)
            progress.advance(task, len(chunk))
    if digest.hexdigest() != download.sha256.lower():
        raise DataError(
            f"data.download: {download.url} has the wrong checksum and was not unpacked. "
            f"Expected SHA-256 {download.sha256.lower()}. Received {digest.hexdigest()}."
        )


def _unpack(archive: Path, directory: Path) -> None:
    try:
        if tarfile.is_tarfile(archive):
            with tarfile.open(archive) as file:
                # The filter rejects `..`, links out of the directory and devices, and strips the
                # leading / of absolute paths.
                file.extractall(directory, filter="data")
        else:
            _unpack_zip(archive, directory)
    except (DataError, OSError):
        raise
    except tarfile.FilterError as error:
        special = isinstance(error, tarfile.SpecialFileError)
        raise DataError(
            f"data.download: the archive is unsafe: {error.tarinfo.name!r} "
            f"{'is a device' if special else 'would be written outside its directory'}."
        ) from None
    except Exception as error:  # tarfile, zipfile and codecs raise many types for a corrupt file
        raise DataError(f"data.download: the archive cannot be unpacked: {error}.") from None


def _unpack_zip(archive: Path, directory: Path) -> None:
    root = os.path.realpath(directory)
    with zipfile.ZipFile(archive) as file:
        members = file.infolist()
        if sum(member.file_size for member in members) > _MAX_UNPACKED_BYTES:
            raise DataError("data.download: the archive is unsafe: it unpacks to over 200 GiB.")
        for member in members:
            target = os.path.realpath(os.path.join(root, member.filename))  # noqa: PTH118
            is_link = (member.external_attr >> 16) & 0o170000 == 0o120000
            if os.path.commonpath((root, target)) != root or is_link:
                raise DataError(
                    f"data.download: the archive is unsafe: {member.filename!r} would be written "
                    "outside its directory."
                )
        file.extractall(root)

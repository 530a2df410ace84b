"""Fetch an archive once, check it and unpack it where it cannot do harm."""

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

from pipeline.config import Config, expecting
from pipeline.errors import DataError

logger = logging.getLogger(__name__)

_CHUNK = 2**20
_MOST_UNPACKED = 200 * 2**30  # a bomb's declared size ends here, before the disk is full

Url = Annotated[str, Field(pattern=r"^(https?|file)://\S+$"), expecting("an address, https://…")]
Sha256 = Annotated[
    str, Field(pattern=r"^[0-9a-fA-F]{64}$"), expecting("64 hexadecimal digits, quoted")
]


class DownloadConfig(Config):
    """An archive that is fetched when the data is absent."""

    url: Url = Field(description="Address of a .zip, .tar, .tar.gz, .tar.bz2 or .tar.xz.")
    sha256: Sha256 = Field(description="SHA-256 of the archive; another one is refused.")


def download_archive(download: DownloadConfig, folder: Path) -> None:
    """Make `folder` from an archive.

    The archive holds either `folder`'s content or one folder with it. `folder` appears whole or not
    at all.

    Raises:
        DataError: if the archive cannot be fetched, is not the expected one, or would write
            outside its folder.
    """
    parent = folder.parent
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
            content.replace(folder)
    # An address that cannot be meant is a ValueError or, from http.client, an HTTPException.
    except (OSError, ValueError, http.client.HTTPException) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()
        raise DataError(
            f"data.download: {download.url} could not be fetched into {parent} ({error}). "
            f"Download it yourself and unpack it as {folder}."
        ) from None


def _retrieve(download: DownloadConfig, archive: Path) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    logger.info(f"Downloading {download.url}")
    digest = hashlib.sha256()
    columns = (TextColumn("  {task.description}"), BarColumn(), DownloadColumn())
    # Only http(s) and file pass the recipe's check of the address.
    with (
        urllib.request.urlopen(download.url, timeout=60) as response,
        archive.open("wb") as file,
        Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as progress,
    ):
        length = response.headers.get("Content-Length")
        task = progress.add_task("download", total=int(length) if length else None)
        while chunk := response.read(_CHUNK):
            digest.update(chunk)
            file.write(chunk)
            progress.advance(task, len(chunk))
    if digest.hexdigest() != download.sha256.lower():
        raise DataError(
            f"data.download: {download.url} is not the expected archive. Expected SHA-256 "
            f"{download.sha256.lower()}. Received {digest.hexdigest()}. Nothing was unpacked."
        )


def _unpack(archive: Path, folder: Path) -> None:
    try:
        if tarfile.is_tarfile(archive):
            with tarfile.open(archive) as file:
                # The filter refuses `..`, links out of the folder and devices, and takes the
                # leading / from absolute paths.
                file.extractall(folder, filter="data")
        else:
            _unpack_zip(archive, folder)
    except (DataError, OSError):
        raise
    except tarfile.FilterError as error:
        special = isinstance(error, tarfile.SpecialFileError)
        raise DataError(
            f"data.download: the archive is refused: {error.tarinfo.name!r} "
            f"{'is a device' if special else 'would be written outside its folder'}."
        ) from None
    except Exception as error:  # broken bytes lead tarfile, zipfile and their codecs to anything
        raise DataError(f"data.download: the archive cannot be unpacked: {error}.") from None


def _unpack_zip(archive: Path, folder: Path) -> None:
    root = os.path.realpath(folder)
    with zipfile.ZipFile(archive) as file:
        members = file.infolist()
        if sum(member.file_size for member in members) > _MOST_UNPACKED:
            raise DataError("data.download: the archive is refused: it unpacks to over 200 GiB.")
        for member in members:
            target = os.path.realpath(os.path.join(root, member.filename))  # noqa: PTH118
            is_link = (member.external_attr >> 16) & 0o170000 == 0o120000
            if os.path.commonpath((root, target)) != root or is_link:
                raise DataError(
                    f"data.download: the archive is refused: {member.filename!r} would be written "
                    "outside its folder."
                )
        file.extractall(root)

"""pipeline cache"""

from __future__ import annotations

import time

import click

from pipeline.backend import quiet_imports

_UNITS = ("B", "KiB", "MiB", "GiB")


@click.command("cache", epilog="Example: pipeline cache --clear")
@click.option("--clear", is_flag=True, help="Remove all entries and downloaded files.")
def command(clear: bool) -> None:
    """List or clear cached features, indexes of image files, and downloaded files.

    The features of frozen base networks are cached on disk and reused by later runs, runs with
    another head, and trials of a search, and so are the networks as OpenVINO runs them (2 GiB at
    most). With the index of a data set, a run need not read every file. Files of data.path: s3://…
    are downloaded once. PIPELINE_CACHE sets the cache directory, runtime.cache_gb in a recipe the
    size limit of features, data.cache_gb that of downloaded files.
    """
    with quiet_imports():
        from pipeline import array_cache
        from pipeline.download_cache import clear_downloads, downloaded_files

    if clear:
        freed = array_cache.clear() + clear_downloads()
        click.echo(f"Freed {_size(freed)} in {array_cache.cache_directory()}")
        return
    entries = array_cache.list_entries()
    for entry in entries:
        used = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.used))
        click.echo(f"{entry.key[:12]}  {_size(entry.size):>10}  {used}  {entry.label}")
    count, size = downloaded_files()
    if count:
        click.echo(f"Downloaded files: {count:,}, size: {_size(size)}")
    total = _size(sum(entry.size for entry in entries))
    click.echo(f"Entries: {len(entries)}, size: {total}, in {array_cache.cache_directory()}")


def _size(count: int) -> str:
    size, unit = float(count), 0
    while size >= 1024 and unit < len(_UNITS) - 1:
        size, unit = size / 1024, unit + 1
    return f"{size:.1f} {_UNITS[unit]}" if unit else f"{count} B"

"""pipeline cache"""

from __future__ import annotations

import time

import click

from pipeline.backend import quiet_imports

_UNITS = ("B", "KiB", "MiB", "GiB")


@click.command("cache")
@click.option("--clear", is_flag=True, help="Remove everything that is kept.")
def command(clear: bool) -> None:
    """List or clear kept features.

    What a frozen base computes is kept on the disk, so that a second run, a changed head and every
    trial start from it. PIPELINE_CACHE names the folder, runtime.cache_gb of a recipe its limit.
    """
    with quiet_imports():
        from pipeline.features import feature_cache

    if clear:
        click.echo(
            f"{_size(feature_cache.clear())} are free again in {feature_cache.cache_directory()}"
        )
        return
    entries = feature_cache.list_entries()
    for entry in entries:
        used = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.used))
        click.echo(f"{entry.key[:12]}  {_size(entry.size):>10}  {used}  {entry.label}")
    total = _size(sum(entry.size for entry in entries))
    click.echo(f"{total} in {len(entries)} entries in {feature_cache.cache_directory()}")


def _size(count: int) -> str:
    size, unit = float(count), 0
    while size >= 1024 and unit < len(_UNITS) - 1:
        size, unit = size / 1024, unit + 1
    return f"{size:.1f} {_UNITS[unit]}" if unit else f"{count} B"

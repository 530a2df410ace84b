"""Self-contained HTML pages: no scripts, no requests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2

from pipeline.atomic_files import atomic_write
from pipeline.errors import UsageError
from pipeline.evaluation import captioned_images


def render_page(template: str, values: dict[str, Any]) -> str:
    """Render a template of this directory. All values are escaped: names can be hostile."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "data_uri": captioned_images.data_uri,
        "encode_data_uri": captioned_images.encode_data_uri,
        "heatmap_overlay": captioned_images.heatmap_overlay,
        "printable": captioned_images.printable,
    }
    html = environment.get_template(template).render(values)
    return html.encode("utf-8", "replace").decode()


def write_output(text: str, path: Path) -> None:
    """Write a page or a table to the file that a user named, whole or not at all.

    Raises:
        UsageError: if the file cannot be written.
    """
    try:
        atomic_write(path, text.encode("utf-8", "replace"))
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}.") from None

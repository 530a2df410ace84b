"""Self-contained HTML pages: no scripts, no requests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2

from pipeline.evaluation import captioned_images


def render_page(template: str, values: dict[str, Any]) -> str:
    """Render a template of this directory. All values are escaped: names can be hostile."""
    directory = Path(__file__).parent
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(directory),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "data_uri": captioned_images.data_uri,
        "png_data_uri": captioned_images.png_data_uri,
        "heatmap_overlay": captioned_images.heatmap_overlay,
        "printable": captioned_images.printable,
    }
    style = (directory / "page.css").read_text("utf-8")
    html = environment.get_template(template).render(values, style=style)
    return html.encode("utf-8", "replace").decode()

"""Pages of one file each: no script in them, nothing fetched from anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2

from pipeline.evaluation import pictures


def page(template: str, values: dict[str, Any]) -> str:
    """Return a template of this folder filled with values, all of them escaped.

    The names of classes, files and runs are anybody's.
    """
    here = Path(__file__).parent
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(here),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "uri": pictures.data_uri,
        "png_uri": pictures.png_uri,
        "printable": pictures.printable,
    }
    style = (here / "page.css").read_text("utf-8")
    html = environment.get_template(template).render(values, style=style)
    return html.encode("utf-8", "replace").decode()

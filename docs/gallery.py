"""Draw the pictures of docs/gallery.md: run recipes and keep figures of their reports.

    python docs/gallery.py [NAME…]

A name is that of a shipped recipe, such as `course/moons`; default: all. The runs are recorded in a
temporary store.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from PIL import Image

import pipeline
from pipeline.recipe.shipped import shipped_recipes

_COLORS = 128
PICTURES = Path(__file__).parent / "gallery"

# The figures of each recipe that the gallery shows, by their names in the artifact `figures/`.
FIGURES: dict[str, tuple[str, ...]] = {
    "course/perceptron_and": ("decision_boundary",),
    "course/xor_mlp": ("decision_boundary", "hidden_units"),
    "course/moons": ("decision_boundary",),
    "course/spirals": ("decision_boundary",),
    "course/line": ("loss_surface",),
    "course/line_momentum": ("loss_surface",),
    "course/line_adam": ("loss_surface",),
    "course/approximation": ("function", "hidden_units"),
    "course/step_given_weights": ("function",),
    "course/vanishing_gradients": ("gradient_norms",),
    "course/batch_norm": ("gradient_norms",),
    "course/he_initialization": ("gradient_norms", "dead_units"),
    "course/dropout": ("thinned_networks",),
    "course/lenet": ("filters", "feature_maps"),
    "course/autoencoder": ("test_reconstructions", "test_latent"),
}


def draw(name: str, figures: tuple[str, ...]) -> None:
    """Run a recipe and keep some of the figures of its report."""
    result = pipeline.run(shipped_recipes()[name])
    folder = Path(result.artifact_uri.removeprefix("file://"), "figures")
    for figure in figures:
        picture = Image.open(folder / f"{figure}.png").quantize(_COLORS)
        picture.save(PICTURES / f"{Path(name).name}_{figure}.png", optimize=True)


def main() -> None:
    chosen = sys.argv[1:] or list(FIGURES)
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(scratch)
        for name in chosen:
            draw(name, FIGURES[name])
            print(f"drew {', '.join(FIGURES[name])} of {name}", flush=True)


if __name__ == "__main__":
    main()

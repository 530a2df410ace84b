"""One YAML recipe becomes a trained, tracked image classifier."""

__version__ = "0.1.0"

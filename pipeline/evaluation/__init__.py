"""Metrics and figures of a classifier. Knows no logger."""

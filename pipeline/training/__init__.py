"""Compile and fit: optimizers, losses, callbacks, devices and precision."""

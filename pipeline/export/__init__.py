"""A model written for other runtimes, a format each, and compared with the Keras model."""

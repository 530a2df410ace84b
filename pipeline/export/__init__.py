"""Export of a model to formats for other runtimes, verified against the Keras model."""

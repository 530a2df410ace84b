"""From text to a frozen, checked `Recipe`. Nothing in here imports TensorFlow, Keras or MLflow."""

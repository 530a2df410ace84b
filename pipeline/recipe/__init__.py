"""From YAML to a frozen, validated `Recipe`, without importing TensorFlow, Keras or MLflow."""

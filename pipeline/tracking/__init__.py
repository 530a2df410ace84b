"""Where runs are kept. Nothing else in the package imports mlflow."""

"""Experiment tracking with MLflow. No other room imports mlflow."""

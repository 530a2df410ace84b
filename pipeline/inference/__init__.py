"""Inference with a trained model: files, bytes or arrays in, class probabilities out."""

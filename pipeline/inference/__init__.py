"""A trained model put to use: files, bytes or arrays in, classes with probabilities out."""

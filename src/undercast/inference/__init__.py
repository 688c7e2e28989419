"""Inference: networks in, probabilities out; never a file."""

"""Publish: packages are written, packed from weights, and pushed to a hub."""

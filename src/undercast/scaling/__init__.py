"""Scaling: one verb over many scenes."""

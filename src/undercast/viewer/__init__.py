"""Viewer: a page on this machine alone, on which a person labels a scene."""

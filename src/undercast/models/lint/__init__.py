"""Lint: defects of a model's item, and the rules that they break."""

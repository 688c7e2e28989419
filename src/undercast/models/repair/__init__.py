"""Repair: a valid item out of one with defects."""

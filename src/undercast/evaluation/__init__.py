"""Evaluation: references, protocols, metrics with intervals, comparison, calibration and gates."""

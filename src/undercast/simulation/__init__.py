"""Simulation: labelled scenes of any sensor, from spectra, fractal clouds and a little physics."""

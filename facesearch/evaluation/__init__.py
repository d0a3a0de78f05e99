"""Measure models and calibrations on labelled photos."""

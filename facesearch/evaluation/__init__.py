"""Models and calibrations, measured on labelled photos."""

"""Maintain an index: check and repair it, move and forget photos, export; and diagnose the machine."""

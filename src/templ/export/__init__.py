"""Writes what a run has predicted for other programs to read."""

"""Predicts every target of a benchmark, records each, and judges the poses against the crystals."""

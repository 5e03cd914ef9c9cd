"""Chooses which templates to copy, and what of them."""

"""Scores poses against templates and receptor, and turns scores into probabilities."""

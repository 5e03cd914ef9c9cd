"""Scores poses against templates and pocket."""

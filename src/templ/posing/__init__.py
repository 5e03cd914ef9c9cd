"""Puts the query where templates show it."""

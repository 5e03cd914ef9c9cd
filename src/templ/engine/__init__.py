"""Runs many tasks in worker processes; knows nothing of chemistry."""

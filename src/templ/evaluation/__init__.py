"""How good the poses of a run are, and what they cost."""

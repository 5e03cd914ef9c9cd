"""Molecules to look at: drawings, and the 3D viewer, for notebooks, the report and the web app."""

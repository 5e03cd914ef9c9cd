"""Molecules and structures as arrays: reading them, their features, conformers and geometry."""

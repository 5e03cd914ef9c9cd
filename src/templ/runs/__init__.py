"""What is kept of a run on disk: its manifest, a record for each molecule, poses and memory log."""

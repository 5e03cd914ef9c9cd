"""Pages to read: what a run did, target by target, in one HTML file that opens anywhere."""

"""Readers that yield molecules and queries one at a time and account for what they could not read."""

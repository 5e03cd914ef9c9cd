"""The memory-mapped molecule database: built once, then read by every process without being loaded."""

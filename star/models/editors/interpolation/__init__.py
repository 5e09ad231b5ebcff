"""Fixed filters."""

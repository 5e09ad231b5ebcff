"""Many trainings and tests, resumed after any stop, and their tables."""

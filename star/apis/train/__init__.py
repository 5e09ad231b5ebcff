"""Build a training run."""

"""Build a model, restore files."""

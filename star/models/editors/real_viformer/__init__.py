"""RealViformer."""

"""Numbers for figures."""

"""Helpers that several rooms need; each exists here once."""

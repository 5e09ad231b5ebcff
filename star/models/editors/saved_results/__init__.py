"""Clips that another program restored."""

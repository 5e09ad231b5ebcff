"""Depth, opacity, HDR and the lack of colour."""

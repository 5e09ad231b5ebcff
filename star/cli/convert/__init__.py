"""Converters of weights: `star convert`."""

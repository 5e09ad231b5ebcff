"""Converters of data sets: `star prepare`."""

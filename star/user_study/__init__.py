"""A blind study in which people compare the results of several methods."""

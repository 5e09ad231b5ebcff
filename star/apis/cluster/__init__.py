"""Work of many clips, shared among the machines of a Ray cluster."""

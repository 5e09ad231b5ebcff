"""CogVideoX's transformer, its names and its checkpoints."""

"""DOVE: one step of a video diffusion transformer."""

"""StableSR."""

"""I2VGen-XL's UNet, its names and its checkpoints."""

"""MGLD-VSR's denoiser: StableSR's, with three temporal layers."""

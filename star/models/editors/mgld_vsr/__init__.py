"""MGLD-VSR: latent diffusion of five frames, guided by their motion."""

"""Training: configs, dry runs, latent caches, Runners."""

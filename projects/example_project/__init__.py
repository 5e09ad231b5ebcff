"""A metric, a data set, a denoiser and a method from outside the package."""

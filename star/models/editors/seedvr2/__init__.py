"""SeedVR2, Wang et al. 2025: a clip restored in one step."""

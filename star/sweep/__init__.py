"""Many runs of the commands: over configs, values and seeds, resumable."""

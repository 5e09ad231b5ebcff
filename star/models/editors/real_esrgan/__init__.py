"""Real-ESRGAN and its compact networks."""

"""ResShift: diffusion from an enlarged picture to a sharp one."""

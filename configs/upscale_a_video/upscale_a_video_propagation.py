# The published recipe for generated clips: latents follow the motion.
_base_ = 'upscale_a_video.py'
model = dict(noise_level=150, propagation_steps=(24, 26, 28))

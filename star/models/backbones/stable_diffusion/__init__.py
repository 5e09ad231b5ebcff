"""Networks made of Stable Diffusion's UNet, for single images."""

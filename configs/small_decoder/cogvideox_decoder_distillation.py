# Trains the decoder of cogvideox_5b_small_decoder.py, from the latents of
# `star prepare cache-latents cogvideox_5b data/latents/cogvideox
# --num-items N`.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/models/decoder_distillation.py',
    '../_base_/schedules/small_decoder.py',
]
model = dict(
    autoencoder=dict(type='CogVideoXVAE', posterior='sample'),
    decoder=dict(latent_channels=16, frames=4),
    # latents in time: three are nine frames
    window=dict(num_frames=3, crop_size=(256, 256), margin=4),
)
start_weights = dict(
    vae=dict(
        repo='zai-org/CogVideoX-5b',
        file='vae/diffusion_pytorch_model.safetensors',
    ),
)
train_dataloader = dict(
    batch_size=2,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DrawSampler'),
    dataset=dict(type='CachedLatents', cache_root='data/latents/cogvideox'),
)
default_hooks = dict(checkpoint=dict(interval=5000))

# Trains the decoder of i2vgen_small_decoder.py, from the latents of
# `star prepare cache-latents i2vgen data/latents/i2vgen --num-items N`.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/models/decoder_distillation.py',
    '../_base_/schedules/small_decoder.py',
]
model = dict(
    autoencoder=dict(type='TemporalVAE', posterior='sample'),
    # three latents are what both decoders see at once in use; the context of
    # 64 pixels lets the teacher's norms and attention see more than the crop
    window=dict(num_frames=3, crop_size=(256, 256), margin=8),
)
start_weights = dict(
    vae=dict(
        repo='stabilityai/stable-video-diffusion-img2vid',
        file='vae/diffusion_pytorch_model.fp16.safetensors',
    ),
)
train_dataloader = dict(
    batch_size=4,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DrawSampler'),
    dataset=dict(type='CachedLatents', cache_root='data/latents/i2vgen'),
)
default_hooks = dict(checkpoint=dict(interval=5000))

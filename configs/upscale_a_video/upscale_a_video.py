_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/datasets/test_sets.py',
]
# the published recipe without captions
model = dict(
    type='UpscaleAVideo',
    unet=dict(type='UAVUNet'),
    vae=dict(type='UAVVAE'),
    text_encoder=dict(type='OpenCLIPTextEncoder'),
    restore_options=dict(
        steps=30,
        guidance_scale=6,
        seed=10,
        prompt_suffix='best quality, extremely detailed',
        negative_prompt='blur, worst quality',
        color_fix='none',
        tile=1536,  # a core of 1024 and borders of 256
        tile_overlap=512,
    ),
)

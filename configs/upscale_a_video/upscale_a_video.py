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
)

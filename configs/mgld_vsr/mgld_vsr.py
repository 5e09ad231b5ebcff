_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/datasets/test_sets.py',
]
model = dict(
    type='MGLDVSR',
    weights=['mgldvsr_unet.ckpt', 'video_vae_cfw.ckpt'],
    text_encoder=dict(type='OpenCLIPTextEncoder'),
)

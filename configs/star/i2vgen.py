# STAR on I2VGen-XL at the official sizes: published weights, and training.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/datasets/openvid.py',
    '../_base_/datasets/test_sets.py',
    '../_base_/models/star_i2vgen.py',
    '../_base_/schedules/adamw_15k.py',
]
weights = dict(
    star=dict(
        repo='SherryX/STAR',
        file='I2VGen-XL-based/heavy_deg.pt',
        sha256=(
            '285e7903a561cadcc7426808987c0ac0352b3beb0351df10775bb90e6635a5e5'
        ),
    ),
    vae=dict(
        repo='stabilityai/stable-video-diffusion-img2vid',
        file='vae/diffusion_pytorch_model.fp16.safetensors',
    ),
    text=dict(
        repo='laion/CLIP-ViT-H-14-laion2B-s32B-b79K',
        file='model.safetensors',
        beside=['vocab.json', 'merges.txt'],
    ),
    variants=dict(
        heavy=dict(
            repo='SherryX/STAR',
            file='I2VGen-XL-based/heavy_deg.pt',
            sha256=(
                '285e7903a561cadcc7426808987c0ac0'
                '352b3beb0351df10775bb90e6635a5e5'
            ),
        ),
        light=dict(
            repo='SherryX/STAR',
            file='I2VGen-XL-based/light_deg.pt',
            sha256=(
                '537881f0276d858fae2cdc932534fcd8'
                '23468b515ff1d3bf368c2db98792d3d5'
            ),
        ),
    ),
)
# Training starts from VEnhancer, which has no LIEM: that starts as new.
start_weights = dict(
    star=dict(repo='jwhejwhe/VEnhancer', file='venhancer_v2.pt'),
)
# held-out clips, small enough to be restored in passing
default_hooks = dict(
    validation=dict(
        type='ValidationClipsHook',
        interval=500,
        num_clips=4,
        autocast=True,
        metrics=[dict(type='PSNR'), dict(type='LPIPS')],
        dataset=dict(
            type='OpenVid',
            annotation='data/openvid/verified.csv',
            data_root='data/openvid/video',
            split='test',
            num_frames=8,
            interval=2,
            filters=dict(min_width=1280, min_height=720),
            pipeline=[
                dict(type='RandomCropClip', height=512, width=512),
                dict(
                    type='RealESRGANVideoDegradation', preset='star', scale=4
                ),
                dict(type='PackVideoInputs'),
            ],
        ),
    ),
)
auto_scale_lr = dict(enable=False, base_batch_size=8)

# STAR on I2VGen-XL at the official sizes, with the published weights.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/models/star_i2vgen.py',
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

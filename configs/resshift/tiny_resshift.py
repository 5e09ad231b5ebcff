# for tests and demos: no weights belong to it but random ones
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/datasets/test_sets.py',
]
model = dict(
    type='ResShift',
    steps=2,
    min_noise=0.2,
    weights=None,
    autoencoder_weights=None,
    backbone=dict(
        image_size=8,
        model_channels=32,
        channel_mult=(1, 2),
        num_res_blocks=(1, 1),
        attention_resolutions=(8,),
        swin=dict(width=32, heads=2, window=4),
        lq_size=8,
    ),
    autoencoder=dict(
        block_out_channels=(32, 32, 32), layers_per_block=1, codebook_size=256
    ),
)

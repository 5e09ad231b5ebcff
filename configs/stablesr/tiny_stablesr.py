# for tests and demos: no weights belong to it but random ones
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/datasets/test_sets.py',
]
model = dict(
    type='StableSR',
    backbone=dict(
        channels=(32, 64),
        layers=1,
        attention_levels=(0,),
        head_dim=32,
        context=16,
        structure=32,
    ),
    structure_encoder=dict(
        channels=(32, 32),
        layers=1,
        attention_levels=(0,),
        heads=1,
        outputs=32,
    ),
    autoencoder=dict(channels=(32, 32, 32, 32), layers=1, growth=8),
    text_encoder=dict(type='ConstantTextEncoder', dim=16, num_tokens=4),
    weights=None,
    latent_tile=(8, 2),
    restore_options=dict(steps=3, tile=128, tile_overlap=32),
)

# for tests and demos: no weights belong to it but random ones
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/datasets/test_sets.py',
]
model = dict(
    type='MGLDVSR',
    weights=[None, None],
    unet=dict(
        type='SpadeVideoUNet',
        channels=(32, 64),
        layers=1,
        attention_levels=(1,),
        head_dim=32,
        context=16,
        structure=32,
    ),
    structure_encoder=dict(
        type='StructureEncoder',
        channels=(32, 32),
        layers=1,
        attention_levels=(1,),
        heads=1,
        outputs=32,
    ),
    video_autoencoder=dict(
        type='VideoCFWAutoencoder', channels=(32, 32, 32, 32), layers=1
    ),
    text_encoder=dict(type='ConstantTextEncoder', dim=16),
    motion_guidance='none',  # a flow network of full size is not tiny
    latent_tile=(8, 2),
    restore_options=dict(steps=2, tile=128, tile_overlap=32),
)

# CogVideoX's networks, small enough to be tried on a CPU; no text.
_base_ = 'star_cogvideox.py'
model = dict(
    autoencoder=dict(
        latent_channels=4,
        block_out_channels=(8, 8, 8, 16),
        layers_per_block=1,
        norm_groups=4,
    ),
    text_encoder=dict(
        _delete_=True, type='ConstantTextEncoder', dim=32, num_tokens=4
    ),
    backbone=dict(
        latent_dim=4,
        num_layers=2,
        num_heads=2,
        head_dim=32,
        time_dim=32,
        text_dim=32,
        lora=dict(rank=4),
        checkpointing=False,
    ),
    losses=dict(window=dict(num_frames=4, crop_size=(16, 16))),
    restore_options=dict(steps=2, tile=(128, 192), tile_overlap=32),
)

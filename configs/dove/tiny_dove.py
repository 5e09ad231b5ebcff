# for tests and demos: no weights belong to it but random ones
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/datasets/test_sets.py',
]
model = dict(
    type='DOVE',
    weights=[None, None, None],
    transformer=dict(
        num_attention_heads=2,
        attention_head_dim=16,
        in_channels=4,
        out_channels=4,
        time_embed_dim=24,
        text_embed_dim=20,
        num_layers=2,
        max_text_seq_length=6,
    ),
    autoencoder=dict(
        type='CogVideoXVAE',
        latent_channels=4,
        block_out_channels=(8, 8, 16, 16),
        layers_per_block=1,
        norm_groups=4,
    ),
    vae_tile=0,
    restore_options=dict(window=17, overlap=4, tile=128, tile_overlap=32),
)

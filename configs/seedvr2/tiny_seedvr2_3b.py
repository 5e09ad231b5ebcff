# for tests and demos: no weights belong to it but random ones
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/datasets/test_sets.py',
]
model = dict(
    type='SeedVR2',
    backbone=dict(
        variant='3b',
        dim=32,
        layers=2,
        heads=1,
        head_dim=32,
        separate=1,
        text_dim=40,
    ),
    autoencoder=dict(widths=(8, 8, 8, 8), layers=1, norm_groups=4),
    text_lengths=(6, 7),
    weights=None,
    restore_options=dict(window=5, overlap=1),
)

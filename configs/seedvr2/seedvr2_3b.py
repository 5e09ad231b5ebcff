_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/datasets/test_sets.py',
]
model = dict(
    type='SeedVR2',
    weights=(
        'seedvr2_ema_3b.pth',
        'ema_vae.pth',
        'pos_emb.pt',
        'neg_emb.pt',
    ),
)

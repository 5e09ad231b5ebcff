_base_ = 'seedvr2_3b.py'
# `--weights seedvr2_ema_7b_sharp.pth` takes the sharper weights
model = dict(
    backbone=dict(variant='7b', dim=3072, layers=36, heads=24),
    weights=(
        'seedvr2_ema_7b.pth',
        'ema_vae.pth',
        'pos_emb.pt',
        'neg_emb.pt',
    ),
)

# The autoencoder of tiny_f4.py: the principal components of 4x4 patches, all
# of them. They are set before the first iteration, and no more is needed.
_base_ = 'tiny_vae.py'
model = dict(
    autoencoder=dict(
        latent_channels=48,
        block_out_channels=(64,),
        decode_chunk=8,
        decode_overlap=2,
        patch_size=4,
    ),
)
# one iteration, which changes nothing, so that there is a checkpoint
param_scheduler = [
    dict(type='ConstantLR', factor=1e-6, by_epoch=False, end=1),
]
train_cfg = dict(max_iters=1)

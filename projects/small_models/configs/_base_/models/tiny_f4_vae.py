# 48 components of 4x4 patches: all of them, so that nothing is lost.
autoencoder = dict(
    type='TemporalVAE',
    latent_channels=48,
    block_out_channels=(64,),
    layers_per_block=1,
    scaling_factor=1.0,
    decode_chunk=8,
    decode_overlap=2,
    encode_batch=8,
    norm_groups=1,
    patch_size=4,
    mid_attention=False,
)

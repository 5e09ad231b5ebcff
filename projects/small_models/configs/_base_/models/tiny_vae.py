autoencoder = dict(
    type='TemporalVAE',
    latent_channels=32,
    block_out_channels=(128,),
    layers_per_block=1,
    scaling_factor=1.0,
    decode_chunk=4,
    decode_overlap=1,
    encode_batch=8,
    norm_groups=1,
    patch_size=8,
    mid_attention=False,
)

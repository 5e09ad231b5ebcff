# STAR on CogVideoX-5B with a small decoder, which
# cogvideox_decoder_distillation.py trains; none is published.
_base_ = '../star/cogvideox_5b.py'
model = dict(
    autoencoder=dict(
        _delete_=True,
        type='SmallDecoderVAE',
        autoencoder=dict(type='CogVideoXVAE', posterior='sample'),
        decoder=dict(type='SmallDecoder', latent_channels=16, frames=4),
    ),
)
weights = dict(
    decoder=dict(
        file='cogvideox_small_decoder.safetensors',
        made_by=(
            'star convert publish work_dirs/cogvideox_decoder_distillation '
            'cogvideox_small_decoder.safetensors --prefix decoder.'
        ),
        source='star train cogvideox_decoder_distillation',
    ),
)

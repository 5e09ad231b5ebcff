# STAR on I2VGen-XL with a small decoder, which i2vgen_decoder_distillation.py
# trains; none is published.
_base_ = '../star/i2vgen.py'
model = dict(
    autoencoder=dict(
        _delete_=True,
        type='SmallDecoderVAE',
        autoencoder=dict(type='TemporalVAE', posterior='sample'),
        decoder=dict(type='SmallDecoder'),
    ),
)
weights = dict(
    decoder=dict(
        file='i2vgen_small_decoder.safetensors',
        made_by=(
            'star convert publish work_dirs/i2vgen_decoder_distillation '
            'i2vgen_small_decoder.safetensors --prefix decoder.'
        ),
        source='star train i2vgen_decoder_distillation',
    ),
)

# A small decoder learns what an autoencoder's own decoder gives.
model = dict(
    type='DecoderDistillation',
    data_preprocessor=dict(type='VideoDataPreprocessor', scale=4),
    decoder=dict(type='SmallDecoder'),
    loss=dict(type='PerceptualLoss', lpips=0.5, l1=1.0, temporal=1.0),
)

# The last stage of tiny.py: networks and decoder learn from what they restore
# themselves in one or two steps.
_base_ = 'tiny.py'
model = dict(
    _delete_=True,
    type='SamplerTrainer',
    star={{_base_.model}},
    steps=(1, 2),
    perceptual_loss=dict(
        type='PerceptualLoss',
        weights='data/lpips_squeeze.safetensors',
        lpips=0.4,
        l1=1.0,
        temporal=0.5,
        t_power=0.0,
    ),
    data_preprocessor=dict(type='VideoDataPreprocessor', scale=4),
)

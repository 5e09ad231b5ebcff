# CogVideoX-5B with STAR's local gates, at the official sizes: windows of 25
# frames and tiles of 480 x 720 as in training, 50 steps from pure noise.
model = dict(
    type='STARModel',
    data_preprocessor=dict(type='VideoDataPreprocessor', scale=4),
    autoencoder=dict(type='CogVideoXVAE', posterior='sample'),
    text_encoder=dict(type='T5TextEncoder'),
    backbone=dict(
        type='CogVideoXDiT',
        lora=dict(type='LoRA', rank=512),
        checkpointing=True,
    ),
    controlnet=dict(type='LatentConcat'),
    schedule=dict(type='CogVideoXSchedule'),
    # in the frozen backbone these learn
    frozen=dict(
        autoencoder=(),
        text_encoder=(),
        backbone=(
            'LoRA',
            'LIEM',
            'PatchProjection',
            'AdaLayerNorm',
            'FinalProjection',
        ),
    ),
    losses=dict(
        frequency=dict(type='DynamicFrequencyLoss', alpha=2, beta=1),
        # what is decoded with a gradient, two latents of four frames
        window=dict(num_frames=8, crop_size=(256, 256)),
    ),
    restore_options=dict(
        prompt='a good video',
        mode='normal',
        steps=50,
        sampler='cogvideox_dpmpp_2m',
        guidance_scale=6,
        guidance_exponent=5,
        guidance_rescale=0,
        window=25,
        overlap=9,
        tile=(480, 720),
        tile_overlap=128,
    ),
)

model = dict(
    type='STARModel',
    data_preprocessor=dict(type='VideoDataPreprocessor', scale=4),
    autoencoder=dict(type='TemporalVAE', posterior='sample'),
    text_encoder=dict(type='OpenCLIPTextEncoder'),
    backbone=dict(type='I2VGenUNet', checkpointing=True),
    controlnet=dict(type='UNetControlNet', checkpointing=True),
    schedule=dict(type='I2VGenSchedule'),
    # in the frozen backbone LIEM learns
    frozen=dict(autoencoder=(), text_encoder=(), backbone=('LIEM',)),
    losses=dict(
        frequency=dict(type='DynamicFrequencyLoss', alpha=2, beta=1),
        # what takes less memory to decode than the denoiser takes anyway
        window=dict(num_frames=3, crop_size=(512, 512)),
    ),
    restore_options=dict(
        prompt='a good video',
        prompt_suffix=(
            'Cinematic, High Contrast, highly detailed, taken using a Canon '
            'EOS R camera, hyper detailed photo - realistic maximum detail, '
            '32k, Color Grading, ultra HD, extreme meticulous detailing, skin '
            'pore detailing, hyper sharpness, perfect without deformations.'
        ),
        negative_prompt=(
            'painting, oil painting, illustration, drawing, art, sketch, oil '
            'painting, cartoon, CG Style, 3D render, unreal engine, blurring, '
            'dirty, messy, worst quality, low quality, frames, watermark, '
            'signature, jpeg artifacts, deformed, lowres, over-smooth'
        ),
    ),
)

model = dict(
    type='STARModel',
    data_preprocessor=dict(type='VideoDataPreprocessor', scale=4),
    autoencoder=dict(type='TemporalVAE', posterior='sample'),
    text_encoder=dict(type='OpenCLIPTextEncoder'),
    backbone=dict(type='I2VGenUNet'),
    controlnet=dict(type='UNetControlNet'),
    schedule=dict(type='NoiseSchedule'),
    prompts=dict(
        prompt='a good video',
        suffix=(
            'Cinematic, High Contrast, highly detailed, taken using a Canon '
            'EOS R camera, hyper detailed photo - realistic maximum detail, '
            '32k, Color Grading, ultra HD, extreme meticulous detailing, skin '
            'pore detailing, hyper sharpness, perfect without deformations.'
        ),
        negative=(
            'painting, oil painting, illustration, drawing, art, sketch, oil '
            'painting, cartoon, CG Style, 3D render, unreal engine, blurring, '
            'dirty, messy, worst quality, low quality, frames, watermark, '
            'signature, jpeg artifacts, deformed, lowres, over-smooth'
        ),
    ),
)

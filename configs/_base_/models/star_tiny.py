# All parts of STAR, small enough to train on a CPU. The autoencoder is a
# fixed cosine transform: a TemporalVAE of random numbers would be frozen in a
# latent space that means nothing, and a trained one is not shipped. The text
# is a constant, so that no text encoder has to be downloaded. A clip's ends
# stand for the frames beyond, where the official network sees zeros.
model = dict(
    type='STARModel',
    data_preprocessor=dict(type='VideoDataPreprocessor', scale=4),
    autoencoder=dict(type='PatchDCT', patch_size=4),
    text_encoder=dict(type='ConstantTextEncoder', dim=32),
    backbone=dict(
        type='I2VGenUNet',
        in_dim=48,
        out_dim=48,
        sizes=dict(
            dim=64,
            dim_mult=(1, 1, 1),
            num_res_blocks=1,
            head_dim=32,
            num_heads=2,
            context_dim=32,
            norm_groups=8,
            time_padding='replicate',
        ),
        dropout=0.0,
    ),
    controlnet=dict(
        type='UNetControlNet',
        in_dim=48,
        sizes=dict(
            dim=64,
            dim_mult=(1, 1, 1),
            num_res_blocks=1,
            head_dim=32,
            num_heads=2,
            context_dim=32,
            norm_groups=8,
            time_padding='replicate',
        ),
        dropout=0.0,
    ),
    schedule=dict(type='I2VGenSchedule'),
    # about what the low-quality latent lacks: STAR has no such term, but a
    # network this small would take hours to learn to copy its input
    residual_std=[0.1] * 48,
    losses=dict(
        frequency=dict(type='DynamicFrequencyLoss', alpha=2, beta=1),
    ),
    restore_options=dict(
        mode='normal',
        steps=2,
        guidance_scale=1,
        window=16,
        overlap=4,
        tile=256,
        tile_overlap=32,
    ),
)

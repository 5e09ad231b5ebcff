# A tiny decoder of a tiny autoencoder, on a CPU, from your own clips; see
# README.md for how the teacher is made.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/datasets/captioned_folder.py',
    '../_base_/models/decoder_distillation.py',
    '../_base_/schedules/tiny.py',
]
model = dict(
    autoencoder=dict(
        type='TemporalVAE',
        block_out_channels=(32, 32, 64),
        layers_per_block=1,
        scaling_factor=1.0,
        norm_groups=8,  # with one channel each the brightness is lost
    ),
    decoder=dict(widths=(32, 24), blocks=(2, 2)),
    window=dict(num_frames=3),
)
start_weights = dict(vae=dict(file='tiny_vae.safetensors'))
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='RandomFlipClip'),
            dict(type='RandomCropClip', height=48, width=48, shrink=0.5),
            dict(type='RealESRGANVideoDegradation', preset='star', scale=4),
            dict(type='PackVideoInputs'),
        ],
    ),
)

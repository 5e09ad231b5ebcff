# STAR on CogVideoX-2B. No weights of STAR are published: it restores with
# what a training of this config has made of CogVideoX-2B.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/datasets/openvid_cogvideox.py',
    '../_base_/datasets/test_sets.py',
    '../_base_/models/star_cogvideox_2b.py',
    '../_base_/schedules/adamw_15k.py',
]
weights = dict(
    star=dict(
        file='star_cogvideox_2b.safetensors',
        made_by=(
            'star convert publish '
            'work_dirs/cogvideox_2b star_cogvideox_2b.safetensors '
            '--base cogvideox_2b.safetensors'
        ),
        source='a training of this config',
    ),
    vae=dict(
        repo='zai-org/CogVideoX-2b',
        file='vae/diffusion_pytorch_model.safetensors',
    ),
    text=dict(
        repo='zai-org/CogVideoX-2b',
        file='text_encoder/model-00001-of-00002.safetensors',
        beside=[
            'model-00002-of-00002.safetensors',
            'model.safetensors.index.json',
        ],
    ),
    tokenizer=dict(repo='zai-org/CogVideoX-2b', file='tokenizer/spiece.model'),
)
start_weights = dict(
    star=dict(
        file='cogvideox_2b.safetensors',
        made_by=(
            'star convert star-cogvideox transformer cogvideox_2b.safetensors'
        ),
        source='https://huggingface.co/zai-org/CogVideoX-2b',
    ),
)
auto_scale_lr = dict(enable=False, base_batch_size=8)

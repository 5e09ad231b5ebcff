# STAR on CogVideoX-5B: published weights, once they are converted, and
# training.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/datasets/openvid_cogvideox.py',
    '../_base_/datasets/test_sets.py',
    '../_base_/models/star_cogvideox.py',
    '../_base_/schedules/adamw_15k.py',
]
weights = dict(
    star=dict(
        file='star_cogvideox_5b.safetensors',
        made_by=(
            'star convert star-cogvideox '
            'mp_rank_00_model_states.pt star_cogvideox_5b.safetensors'
        ),
        source=('https://huggingface.co/SherryX/STAR (CogVideoX-5B-based/1)'),
    ),
    vae=dict(
        repo='zai-org/CogVideoX-5b',
        file='vae/diffusion_pytorch_model.safetensors',
    ),
    text=dict(
        repo='zai-org/CogVideoX-5b',
        file='text_encoder/model-00001-of-00002.safetensors',
        beside=[
            'model-00002-of-00002.safetensors',
            'model.safetensors.index.json',
        ],
    ),
    tokenizer=dict(repo='zai-org/CogVideoX-5b', file='tokenizer/spiece.model'),
)
# Training starts from CogVideoX: local gates and updates are new, and what
# the patch embedding takes from the low-quality latent is zero.
start_weights = dict(
    star=dict(
        file='cogvideox_5b.safetensors',
        made_by=(
            'star convert star-cogvideox transformer cogvideox_5b.safetensors'
        ),
        source='https://huggingface.co/zai-org/CogVideoX-5b',
    ),
)
auto_scale_lr = dict(enable=False, base_batch_size=8)

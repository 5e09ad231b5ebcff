_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/datasets/test_sets.py',
]
model = dict(
    type='DOVE',
    weights=[
        'dove_transformer.safetensors',
        'dove_vae.safetensors',
        'dove_prompt.safetensors',
    ],
)

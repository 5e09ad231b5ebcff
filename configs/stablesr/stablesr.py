_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/datasets/test_sets.py',
]
model = dict(type='StableSR', text_encoder=dict(type='OpenCLIPTextEncoder'))

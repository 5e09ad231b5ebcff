# All parts of STAR at a small size, for tests and ablations. It starts from
# random numbers and restores nothing until it is trained.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/datasets/captioned_folder.py',
    '../_base_/datasets/test_sets.py',
    '../_base_/models/star_tiny.py',
    '../_base_/schedules/tiny.py',
]
weights = dict(random=True)
# small enough to be saved whole
default_hooks = dict(checkpoint=dict(save_all=True))

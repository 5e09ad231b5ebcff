# What any method left as files: `star test` takes --results FOLDER.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/datasets/test_sets.py',
]
model = dict(type='SavedResults')

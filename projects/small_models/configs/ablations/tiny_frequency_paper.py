# On the small model: the paper's frequency loss, alpha 2 and beta 1.
_base_ = 'tiny_base.py'
model = dict(
    losses=dict(
        frequency=dict(
            _delete_=True, type='DynamicFrequencyLoss', alpha=2, beta=1
        ),
    ),
)

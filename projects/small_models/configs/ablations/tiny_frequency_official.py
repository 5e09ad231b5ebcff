# On the small model: the released code's frequency loss, with its gradient.
_base_ = 'tiny_base.py'
model = dict(
    losses=dict(
        frequency=dict(
            _delete_=True,
            type='DynamicFrequencyLoss',
            alpha=2,
            beta=1,
            filter='official',
        ),
    ),
)

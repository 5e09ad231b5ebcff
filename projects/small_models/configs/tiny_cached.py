# tiny_real.py from latents that cache_latents.py wrote.
_base_ = 'tiny_real.py'
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='CachedLatents',
        cache_root='data/star_tiny_latents',
        expect=dict(
            dataset={{_base_.train_dataloader.dataset}},
            data_preprocessor={{_base_.model.data_preprocessor}},
            autoencoder={{_base_.model.autoencoder}},
            text_encoder={{_base_.model.text_encoder}},
        ),
    ),
)

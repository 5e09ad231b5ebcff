# Clips that a teacher has restored: `star prepare teacher` makes the cache.
train_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DrawSampler'),
    collate_fn=dict(type='pseudo_collate'),
    dataset=dict(type='CachedLatents', cache_root='data/teacher/star'),
)

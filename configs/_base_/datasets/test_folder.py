# A folder with gt/, lq/ or both; set test_dataloader.dataset.data_root.
test_dataloader = dict(
    batch_size=1,
    num_workers=1,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='VideoFolder', data_root='data/test'),
)
test_cfg = dict(type='TestLoop')
test_evaluator = [dict(type='PSNR'), dict(type='SSIM')]

# The test sets and metrics of DOVE (arXiv 2505.16239), whose table has STAR as
# well: `star test CONFIG --protocol dove`. docs/metrics.md has its numbers and
# says what its script does otherwise.
test_dataloader = dict(
    batch_size=1,
    num_workers=1,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='ConcatDataset',
        datasets=[
            dict(
                type='VideoFolder',
                name='UDM10',
                data_root='data/test_sets/UDM10',
            ),
            dict(
                type='VideoFolder',
                name='SPMCS',
                data_root='data/test_sets/SPMCS',
            ),
            dict(
                type='VideoFolder',
                name='YouHQ40',
                data_root='data/test_sets/YouHQ40',
            ),
            dict(
                type='VideoFolder',
                name='RealVSR',
                data_root='data/test_sets/RealVSR',
                scale=1,
            ),
            dict(
                type='VideoFolder',
                name='MVSR4x',
                data_root='data/test_sets/MVSR4x',
                scale=1,
            ),
            dict(
                type='VideoFolder',
                name='VideoLQ',
                data_root='data/test_sets/VideoLQ',
            ),
        ],
    ),
)
test_cfg = dict(type='TestLoop')
test_evaluator = [
    dict(type='PSNR'),
    dict(type='SSIM', channel='yiq'),
    dict(type='LPIPS'),
    dict(type='DISTS'),
    dict(type='CLIPIQA'),
    dict(type='FasterVQA'),
    dict(type='DOVER'),
    dict(type='EWarp'),
]

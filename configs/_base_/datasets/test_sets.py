# The paper's test sets and metrics; how to get the sets stands in
# data/README.md. PSNR and SSIM are given of RGB and of luma, as the paper does
# not say which it took; ILNIQE takes long, and the paper has it for VideoLQ.
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
                name='REDS30',
                data_root='data/test_sets/REDS30',
            ),
            dict(
                type='VideoFolder',
                name='OpenVid30',
                data_root='data/test_sets/OpenVid30',
            ),
            dict(
                type='VideoFolder',
                name='VideoLQ',
                data_root='data/test_sets/VideoLQ',
            ),
        ],
    ),
)
# Tested only where `--sets` names them, at their own scale: RealVSR's and
# MVSR4x's inputs have the size of the ground truth.
further_test_sets = [
    dict(type='VideoFolder', name='SPMCS', data_root='data/test_sets/SPMCS'),
    dict(
        type='VideoFolder', name='YouHQ40', data_root='data/test_sets/YouHQ40'
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
]
test_cfg = dict(type='TestLoop')
test_evaluator = [
    dict(type='PSNR'),
    dict(type='PSNR', channel='y'),
    dict(type='SSIM'),
    dict(type='SSIM', channel='y'),
    dict(type='LPIPS'),
    dict(type='ILNIQE', datasets=['VideoLQ']),
    dict(type='DOVER'),
    dict(type='EWarp'),
]

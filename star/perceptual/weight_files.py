"""The published files of weights of LPIPS: classifiers' trunks, and heads."""

from star.utils.weight_files import WeightFile

_TORCH = 'https://download.pytorch.org/models'
_LPIPS = (
    'https://raw.githubusercontent.com/richzhang/PerceptualSimilarity/'
    '082bb24f84c091ea94de2867d34c4544f68e0963/lpips/weights/v0.1'
)

_FILES = (
    WeightFile(
        'alexnet-owt-7be5be79.pth',
        f'{_TORCH}/alexnet-owt-7be5be79.pth',
        '7be5be79',
        'BSD-3-Clause',
    ),
    WeightFile(
        'vgg16-397923af.pth',
        f'{_TORCH}/vgg16-397923af.pth',
        '397923af',
        'BSD-3-Clause',
    ),
    WeightFile(
        'squeezenet1_1-b8a52dc0.pth',
        f'{_TORCH}/squeezenet1_1-b8a52dc0.pth',
        'b8a52dc0',
        'BSD-3-Clause',
    ),
    WeightFile(
        'lpips_alex.pth',
        f'{_LPIPS}/alex.pth',
        'df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0',
        'BSD-2-Clause',
        ('alex.pth', 'LPIPS_v0.1_alex-df73285e.pth'),
        ('lpips', 'weights/v0.1/alex.pth'),
    ),
    WeightFile(
        'lpips_vgg.pth',
        f'{_LPIPS}/vgg.pth',
        'a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868',
        'BSD-2-Clause',
        ('vgg.pth', 'LPIPS_v0.1_vgg-a78928a0.pth'),
        ('lpips', 'weights/v0.1/vgg.pth'),
    ),
    WeightFile(
        'lpips_squeeze.pth',
        f'{_LPIPS}/squeeze.pth',
        '4a5350f23600cb79923ce65bb07cbf57dca461329894153e05a1346bd531cf76',
        'BSD-2-Clause',
        ('squeeze.pth', 'LPIPS_v0.1_squeeze-4a5350f2.pth'),
        ('lpips', 'weights/v0.1/squeeze.pth'),
    ),
    # trunk and heads, from star convert lpips
    WeightFile('lpips_squeeze.safetensors', '', '', 'BSD-2-Clause'),
)
FILES = {file.name: file for file in _FILES}

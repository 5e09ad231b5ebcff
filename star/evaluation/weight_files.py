"""The published files of weights that metrics need."""

from star.utils.weight_files import WeightFile

_TORCH = 'https://download.pytorch.org/models'
_GITHUB = 'https://raw.githubusercontent.com'
_LPIPS = (
    f'{_GITHUB}/richzhang/PerceptualSimilarity/'
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
    # trunk and heads, from tools/model_converters/convert_lpips.py
    WeightFile('lpips_squeeze.safetensors', '', '', 'BSD-2-Clause'),
    WeightFile(
        'raft_large_C_T_V1-22a6c225.pth',
        f'{_TORCH}/raft_large_C_T_V1-22a6c225.pth',
        '22a6c225',
        'BSD-3-Clause',
    ),
    WeightFile(
        'raft_small_C_T_V2-01064c6d.pth',
        f'{_TORCH}/raft_small_C_T_V2-01064c6d.pth',
        '01064c6d',
        'BSD-3-Clause',
    ),
    # the original's, in models.zip of princeton-vl/RAFT
    WeightFile(
        'raft-things.pth',
        '',
        'fcfa4125d6418f4de95d84aec20a3c5f4e205101715a79f193243c186ac9a7e1',
        'BSD-3-Clause',
    ),
    WeightFile(
        'raft-small.pth',
        '',
        'c7d41b9cc88442bb8aa911dbb33086dac55a226394b142937ff22d5578717332',
        'BSD-3-Clause',
    ),
    WeightFile(
        'niqe_pris_params.npz',
        f'{_GITHUB}/open-mmlab/mmagic/0a560bba9b79ebe78574e1d4cbbdd0e798e63568'
        '/mmagic/evaluation/metrics/niqe_pris_params.npz',
        '2a7c182a68c9e7f1b2e2e5ec723279d6f65d912b6fcaf37eb2bf03d7367c4296',
        'Apache-2.0',
    ),
    WeightFile(
        'ILNIQE_templateModel.mat',
        f'{_GITHUB}/IceClear/IL-NIQE/57e9dfa2378a316e7e0eba3a9cfb5e91d1ece491'
        '/templateModel.mat',
        '14f4919a630498d732bbf11837d894d45a57f89c9ed84bea98851147290ce93c',
        'Apache-2.0',
        ('templateModel.mat', 'ilniqe_templateModel.mat'),
    ),
    WeightFile(
        'DOVER.pth',
        'https://github.com/QualityAssessment/DOVER/releases/download/v0.1.0'
        '/DOVER.pth',
        '',
        'S-Lab License 1.0, non-commercial',
    ),
)
FILES = {file.name: file for file in _FILES}

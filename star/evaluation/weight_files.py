"""The published files of weights that metrics need."""

from star.utils.weight_files import WeightFile

_TORCH = 'https://download.pytorch.org/models'
_GITHUB = 'https://raw.githubusercontent.com'
_PYIQA = 'https://huggingface.co/chaofengc/IQA-PyTorch-Weights/resolve/main'

_FILES = (
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
    # weights of DISTS's channels; the package has the same file
    WeightFile(
        'DISTS_weights-f5e65c96.pth',
        f'{_PYIQA}/DISTS_weights-f5e65c96.pth',
        'f5e65c96230b7f6ca995691647d482237e4cab8a50c5c4a5784f219ef0748218',
        'MIT',
        package=('DISTS_pytorch', 'weights.pt'),
    ),
    WeightFile(
        'FAST_VQA_3D_1_1.pth',
        'https://github.com/TimothyHTimothy/FAST-VQA/releases/download/v2.0.0'
        '/FAST_VQA_3D_1_1.pth',
        '',
        'not known; see VQAssessment/FAST-VQA-and-FasterVQA',
        ('FAST_VQA_3D_1*1.pth',),
    ),
    WeightFile(
        'RN50.pt',
        'https://openaipublic.azureedge.net/clip/models/'
        'afeb0e10f9e5a86da6080e35cf09123aca3b358a0c3e3b6c78a7b63bc04b6762'
        '/RN50.pt',
        'afeb0e10f9e5a86da6080e35cf09123aca3b358a0c3e3b6c78a7b63bc04b6762',
        'MIT',
    ),
    WeightFile(
        'musiq_koniq_ckpt-e95806b9.pth',
        f'{_PYIQA}/musiq_koniq_ckpt-e95806b9.pth',
        'e95806b9',
        'CC BY-NC-SA 4.0 (pyiqa), of an Apache-2.0 original',
    ),
)
FILES = {file.name: file for file in _FILES}

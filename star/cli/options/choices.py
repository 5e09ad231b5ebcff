"""Names that options choose from, as the library knows them.

Written down a second time so that --help need not import torch; a test
compares each with what it mirrors.
"""

DTYPES = ('float32', 'fp32', 'bfloat16', 'bf16', 'float16', 'fp16')
SAMPLERS = ('dpmpp_2m_sde', 'ddim', 'heun', 'cogvideox_dpmpp_2m')
COLOR_FIXES = ('adain', 'wavelet', 'detail', 'lab', 'hsv', 'adaptive', 'none')
MODES = ('fast', 'normal')
BLENDS = ('smooth', 'cut')
UPSAMPLINGS = ('bicubic', 'bilinear')
NOISES = ('per_frame', 'shared', 'none')
COMPATS = ('none', 'official')
OFFLOADS = ('none', 'model', 'block')
QUANTIZATIONS = ('none', 'int8', 'fp8', 'nf4')
ATTENTIONS = ('auto', 'math', 'flash', 'efficient', 'cudnn', 'sage')
PROGRESS = ('bar', 'json')
LAUNCHERS = ('none', 'pytorch', 'slurm')
CACHE_DTYPES = ('float16', 'bfloat16', 'float32')
CONVERTED_DTYPES = ('fp32', 'bf16')
BASELINE_DTYPES = ('fp32', 'fp16', 'bf16')
PRESETS = ('star', 'realesrgan', 'realbasicvsr', 'light')
# name on the command line: name, number of clips, frames of each
PUBLISHED_SETS: dict[str, tuple[str, int, int | None]] = {
    'udm10': ('UDM10', 10, 32),
    'reds30': ('REDS30', 30, 100),
    'videolq': ('VideoLQ', 50, 100),
    'spmcs': ('SPMCS', 30, 31),
    'youhq40': ('YouHQ40', 40, None),
    'realvsr': ('RealVSR', 50, 50),
    'mvsr4x': ('MVSR4x', 15, 100),
}
REAL_SETS = ('videolq', 'realvsr', 'mvsr4x')  # their inputs are not made
COPIED_SETS = ('udm10', 'spmcs', 'youhq40')  # copies of them have inputs
# the paper's own sets: name, number of clips, frames of each, crop
OPENVID_SETS: dict[str, tuple[str, int, int, tuple[int, int] | None]] = {
    'openvid30': ('OpenVid30', 30, 100, None),
    'openvid10': ('OpenVid10', 10, 25, (480, 720)),
}
STUDY_CRF = 12  # quality of the files that a user study shows

"""The published test sets: contents, and layouts of their owners.

Where a number or a size is None, its owner does not state it, or clips
differ; it is not checked.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class PublishedSet:
    """A test set that papers report.

    Args:
        name: its name in papers.
        key: 'gt', or 'lq' for a set without ground truth.
        num_clips: number of clips.
        num_frames: number of frames of each clip.
        size: height and width of all frames.
        layouts: patterns of its clips below the given folder; the first one
            with a match is used. `*` alone stands for the name of a clip.
        source: origin, for the manifest.
        lq_layouts: patterns of low-quality clips beside the ground truth.
        real: the inputs are real; they belong to the set and are not made.
        scale: size of ground truth over that of the inputs, where these
            belong to the set.
    """

    name: str
    key: str
    num_clips: int
    num_frames: int | None
    size: tuple[int, int] | None
    layouts: tuple[str, ...]
    source: str
    lq_layouts: tuple[str, ...] = ()
    real: bool = False
    scale: int = 1


def _copies(name: str, part: str) -> tuple[str, ...]:
    """Return the layouts of DOVE's copies (datasets/README.md there)."""
    return tuple(
        f'{above}{folder}/*'
        for folder in (part, f'{part}-Video')
        for above in ('', f'{name}/')
    )


UDM10 = PublishedSet(
    name='UDM10',
    key='gt',
    num_clips=10,
    num_frames=32,
    size=(720, 1272),
    layouts=(
        *('*/truth', 'udm10/*/truth'),  # as PFNL has it
        *(*_copies('UDM10', 'GT'), '*'),
    ),
    source='UDM10 (Yi et al., PFNL, ICCV 2019)',
    lq_layouts=_copies('UDM10', 'LQ'),
)
REDS30 = PublishedSet(
    name='REDS30',
    key='gt',
    num_clips=30,
    num_frames=100,
    size=(720, 1280),
    layouts=(
        *('val_sharp/*', 'val/val_sharp/*', 'REDS/val/val_sharp/*'),
        *('train_sharp/2[4-6][0-9]', 'REDS/train_sharp/2[4-6][0-9]'),
        *('2[4-6][0-9]', 'GT/*', 'GT-Video/*', '*'),
    ),
    source='REDS, validation split (Nah et al., CVPRW 2019)',
)
VIDEOLQ = PublishedSet(
    name='VideoLQ',
    key='lq',
    num_clips=50,
    num_frames=100,
    size=None,
    layouts=(*_copies('VideoLQ', 'LQ'), 'VideoLQ/*', '*'),
    source='VideoLQ (Chan et al., RealBasicVSR, CVPR 2022)',
    real=True,
)
# 30 clips of 31 frames, NAME/truth beside NAME/input4: README of the authors'
# repository SPMC_VideoSR. The bicubic input4 is not used: the inputs are made
# as those of the other synthetic sets. The size is that of the common copies.
SPMCS = PublishedSet(
    name='SPMCS',
    key='gt',
    num_clips=30,
    num_frames=31,
    size=(540, 960),
    layouts=(
        *('*/truth', 'test_set/*/truth', 'SPMCS/test_set/*/truth'),
        *(*_copies('SPMCS', 'GT'), '*'),
    ),
    source='SPMCS (Tao et al., Detail-revealing Deep VSR, ICCV 2017)',
    lq_layouts=_copies('SPMCS', 'LQ'),
)
# "around 32 frames": README of the authors' repository Upscale-A-Video, whose
# archive is YouHQ40-Test; 1080x1920 is the paper's.
YOUHQ40 = PublishedSet(
    name='YouHQ40',
    key='gt',
    num_clips=40,
    num_frames=None,
    size=(1080, 1920),
    layouts=('YouHQ40-Test/*', *_copies('YouHQ40', 'GT'), '*'),
    source='YouHQ40 (Zhou et al., Upscale-A-Video, CVPR 2024)',
    lq_layouts=_copies('YouHQ40', 'LQ'),
)
# GT_test.zip and LQ_test.zip: README of the authors' repository RealVSR. Their
# networks do not enlarge: both are of one size. 50 test clips: DOVE's README.
REALVSR = PublishedSet(
    name='RealVSR',
    key='gt',
    num_clips=50,
    num_frames=50,
    size=(512, 1024),
    layouts=(
        *('GT_test/*', 'RealVSR/GT_test/*'),
        *_copies('RealVSR', 'GT'),
    ),
    source='RealVSR, test split (Yang et al., ICCV 2021)',
    lq_layouts=(
        *('LQ_test/*', 'RealVSR/LQ_test/*'),
        *_copies('RealVSR', 'LQ'),
    ),
    real=True,
)
# tele/NAME and wide/NAME: the authors' repository EAVSR, which reads both at
# one size and shrinks wide/ itself. The 15 test clips of 100 frames are those
# of DOVE's copy; the authors' archive holds the training clips as well.
MVSR4X = PublishedSet(
    name='MVSR4x',
    key='gt',
    num_clips=15,
    num_frames=100,
    size=None,
    layouts=(*_copies('MVSR4x', 'GT'), 'tele/*', 'MVSR4x/tele/*'),
    source='MVSR4x, test split (Wang et al., EAVSR, CVPRW 2023)',
    lq_layouts=(*_copies('MVSR4x', 'LQ'), 'wide/*', 'MVSR4x/wide/*'),
    real=True,
)
PUBLISHED = {
    'udm10': UDM10,
    'reds30': REDS30,
    'videolq': VIDEOLQ,
    'spmcs': SPMCS,
    'youhq40': YOUHQ40,
    'realvsr': REALVSR,
    'mvsr4x': MVSR4X,
}

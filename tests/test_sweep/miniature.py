"""Configs, clips and a test set so small that a training takes seconds."""

from pathlib import Path

from tests.paths import ROOT
from tests.test_apis.folders import write_folder

_CONFIG = """
_base_ = {base!r}
_small = dict(
    sizes=dict(
        dim=32,
        dim_mult=(1,),
        head_dim=8,
        context_dim=8,
        norm_groups=4,
    ),
    liem={liem},
)
model = dict(
    text_encoder=dict(dim=8),
    backbone=_small,
    controlnet=_small,
    losses=dict(frequency={frequency}),
    restore_options=dict(steps=1),
)
train_dataloader = dict(
    num_workers=0,
    persistent_workers=False,
    batch_size=1,
    dataset=dict(
        data_root={clips!r},
        num_frames=2,
        pipeline=[
            dict(type='RandomCropClip', height=32, width=32),
            dict(type='RealESRGANVideoDegradation', preset='light', scale=4),
            dict(type='PackVideoInputs'),
        ],
    ),
)
default_hooks = dict(checkpoint=dict(interval=1), validation=None)
param_scheduler = []
train_cfg = dict(max_iters=2)
visualizer = dict(vis_backends=[])
optim_wrapper = dict(_delete_=True, **dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-3),
))
test_dataloader = dict(_delete_=True, **dict(
    num_workers=0,
    dataset=dict(type='VideoFolder', name='two', data_root={two!r}),
))
test_evaluator = [dict(type='PSNR')]
"""
FREQUENCY = "dict(type='DynamicFrequencyLoss', alpha=2)"
LIEM = "dict(type='LIEM')"


def write_configs(
    folder: Path, names: dict[str, tuple[str, str]]
) -> list[Path]:
    """Write configs that differ in LIEM and frequency loss, and their data.

    Args:
        folder: where to.
        names: by the config's name the two texts.
    """
    clips = write_folder(folder / 'clips', 'ab', frames=4)
    (clips / 'text').mkdir()
    for name in 'ab':
        (clips / 'text' / f'{name}.txt').write_text(f'clip {name}')
    two = write_folder(folder / 'two', 'ab')
    paths = []
    for name, (liem, frequency) in names.items():
        text = _CONFIG.format(
            base=str(ROOT / 'configs' / 'star' / 'tiny.py'),
            liem=liem,
            frequency=frequency,
            clips=str(clips),
            two=str(two),
        )
        paths.append(folder / f'{name}.py')
        paths[-1].write_text(text)
    return paths

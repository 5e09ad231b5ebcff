import numpy as np
import pytest

from projects.small_models.arrays import PairArrays
from projects.small_models.tools import degrade_clips as tool
from star.apis.inference.build import load_config

CONFIG = """
custom_imports = dict(imports=['projects.small_models'])
model = dict(type='STARModel')
train_dataloader = dict(
    dataset=dict(
        type='ClipArrays',
        data_root={root!r},
        num_frames=2,
        pipeline=[
            dict(type='RandomCropClip', height=8, width=12),
            dict(type='PlainDegradation', scale=4),
            dict(type='PackVideoInputs'),
        ],
    ),
)
"""


@pytest.fixture
def config(tmp_path):
    clips = tmp_path / 'clips'
    clips.mkdir()
    values = np.random.default_rng(0).integers(0, 256, (5, 16, 20, 3))
    np.save(clips / 'clip.npy', values.astype(np.uint8))
    path = tmp_path / 'config.py'
    path.write_text(CONFIG.format(root=str(clips)))
    return path


def test_writes_what_the_training_set_draws(config, tmp_path):
    dst = tmp_path / 'pairs'
    assert tool.main([str(config), str(dst), '--count', '3']) == 0
    assert sorted(p.name for p in dst.iterdir()) == ['gt.npy', 'lq.npy']
    source = tool.build_dataset(load_config(str(config)), None)
    pairs = PairArrays(str(dst), 2, [{'type': 'PackVideoInputs'}])
    for draw in range(3):
        item = source[draw]
        assert (
            pairs.gt[draw] == tool.to_frames(item['data_samples'].gt)
        ).all()
        assert (pairs.lq[draw] == tool.to_frames(item['inputs'])).all()
    assert pairs.lq.shape == (3, 2, 2, 3, 3)


def test_other_draws(config, tmp_path):
    drawn = []
    for seed in (0, 5):
        dst = tmp_path / f'pairs{seed}'
        words = [str(config), str(dst), '--count', '2', '--cfg-options']
        words.append(f'train_dataloader.dataset.seed={seed}')
        assert tool.main(words) == 0
        drawn.append(np.load(dst / 'gt.npy'))
    assert (drawn[0] != drawn[1]).any()


def test_refusals(config, tmp_path, capsys):
    dst = tmp_path / 'pairs'
    wrong = [str(config), str(dst), '--count', '1', '--data-root', str(dst)]
    assert tool.main(wrong) == 2
    assert 'holds no .npy files' in capsys.readouterr().err
    assert not dst.exists()
    dst.mkdir()
    assert tool.main([str(config), str(dst), '--count', '1']) == 2
    assert 'exists already' in capsys.readouterr().err
    with pytest.raises(SystemExit):
        tool.main([str(config), str(dst), '--count', '0'])

"""Published protocols: what they replace in a config."""

from pathlib import Path

import pytest
from mmengine.config import Config

from star.apis.inference.build import load_config
from star.apis.test.metrics import choose_metrics
from star.apis.test.presets import use_protocol
from star.apis.test.sets import choose_sets
from star.registry import METRICS
from tests.paths import ROOT

DOVE_SETS = ['UDM10', 'SPMCS', 'YouHQ40', 'RealVSR', 'MVSR4x', 'VideoLQ']


def test_dove():
    config = load_config('bicubic')
    own = config.model.to_dict()
    use_protocol(config, 'dove')
    sets = choose_sets(config)
    assert list(sets) == DOVE_SETS
    # RealVSR's and MVSR4x's inputs have the size of the ground truth
    scales = {name: entry.get('scale') for name, entry in sets.items()}
    assert [k for k, v in scales.items() if v == 1] == ['RealVSR', 'MVSR4x']
    assert {v for v in scales.values() if v != 1} == {None}
    metrics = choose_metrics(config)
    assert [each['type'] for each in metrics] == [
        *('PSNR', 'SSIM', 'LPIPS', 'DISTS', 'CLIPIQA', 'FasterVQA'),
        *('DOVER', 'EWarp'),
    ]
    # all as they are, but for the luma of pyiqa's SSIM
    options = [e for e in metrics if len(e) > 1]
    assert options == [{'type': 'SSIM', 'channel': 'yiq'}]
    assert all(each['type'] in METRICS for each in metrics)
    assert config.model.to_dict() == own


def test_sets_are_the_named_ones():
    """The protocol's sets are those of the other configs, where they are."""
    config = load_config('bicubic')
    known = choose_sets(config, DOVE_SETS)
    use_protocol(config, 'dove')
    assert choose_sets(config, DOVE_SETS) == known


def test_config_of_ones_own(tmp_path: Path):
    """As docs/metrics.md has it."""
    path = tmp_path / 'mine.py'
    path.write_text(
        '_base_ = [\n'
        "    'star::_base_/default_runtime.py',\n"
        "    'star::_base_/protocols/dove.py',\n"
        ']\n'
        "model = dict(type='Bicubic')\n"
    )
    assert list(choose_sets(load_config(path))) == DOVE_SETS


def test_every_protocol_loads():
    folder = ROOT / 'configs' / '_base_' / 'protocols'
    names = sorted(path.stem for path in folder.glob('*.py'))
    assert names == ['dove']
    for name in names:
        config = Config()
        use_protocol(config, name)
        assert choose_metrics(config) and choose_sets(config)


def test_refuses_an_unknown_protocol():
    with pytest.raises(ValueError, match="no protocol 'dover', only dove"):
        use_protocol(Config(), 'dover')

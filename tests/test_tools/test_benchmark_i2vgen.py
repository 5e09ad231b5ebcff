"""tools/analysis_tools/benchmark_i2vgen.py with a network in the place of
ModelScope's."""

import json
import sys
from pathlib import Path

import pytest

from tests.test_tools.tools import load_tool

TOOL = load_tool('analysis_tools/benchmark_i2vgen.py')
CONFIG = """
sizes = dict(dim=32, dim_mult=(1, 2), num_res_blocks=1, head_dim=16)
model = dict(backbone=dict(type='I2VGenUNet', sizes=sizes))
"""
REFERENCE = """
import xformers
import xformers.ops
from fairscale.nn.checkpoint import checkpoint_wrapper
from rotary_embedding_torch import RotaryEmbedding
from torch import nn

class Vid2VidSDUNet(nn.Module):
    def __init__(self, dim_mult, **words):
        super().__init__()
        self.body = nn.Conv3d(4, 4, 1)
        assert dim_mult == [1, 2] and words['y_dim'] == 1024

    def load_state_dict(self, state):
        if 'input_blocks.1.0.temopral_conv.conv1.2.weight' not in state:
            raise RuntimeError('no\\n\\tsuch name')

    def forward(self, x, t, y):
        q = y[..., :64]
        return self.body(x) + xformers.ops.memory_efficient_attention(
            q, q, q, attn_bias=None).mean()
"""


def run(tmp_path: Path, source: str) -> int:
    """Compare with the network of a source; the numbers go to a file."""
    config, src = tmp_path / 'small.py', tmp_path / 'unet_v2v.py'
    config.write_text(CONFIG)
    src.write_text(source)
    words = ['--config', str(config), '--latent', '2x10x12', '--repeat', '1']
    out = ['--json', str(tmp_path / 'costs.json'), '--device', 'cpu']
    return TOOL.main([str(src), *words, *out])


def test_compares_both(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    before = set(sys.modules)
    assert run(tmp_path, REFERENCE) == 0
    found = json.loads((tmp_path / 'costs.json').read_text())
    ours, other = found['ours']['fastest'], found['reference']['fastest']
    assert found['ratio'] == ours / other > 0
    assert found['difference'] > 0.01  # it is another network
    assert 'ratio' in capsys.readouterr().out
    added = set(sys.modules) - before
    assert not any(name.startswith('xformers') for name in added)


@pytest.mark.parametrize(
    ('source', 'expected'),
    [
        ('', 'has no Vid2VidSDUNet'),
        (REFERENCE.replace('temopral', 'temporal'), 'does not fit'),
    ],
)
def test_other_files_are_refused(
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
    source: str,
    expected: str,
) -> None:
    assert run(tmp_path, source) == 2
    assert expected in capsys.readouterr().err
    assert TOOL.main([str(tmp_path / 'none.py')]) == 2
    assert 'there is no file' in capsys.readouterr().err

import pytest
import torch

from star.models.autoencoders.ldm_names import from_ldm, rename_ldm


@pytest.mark.parametrize(
    ('name', 'expected'),
    [
        ('encoder.conv_in.weight', 'encoder.conv_in.weight'),
        (
            'encoder.down.1.block.0.nin_shortcut.bias',
            'encoder.down_blocks.1.resnets.0.conv_shortcut.bias',
        ),
        (
            'encoder.down.0.downsample.conv.weight',
            'encoder.down_blocks.0.downsamplers.0.conv.weight',
        ),
        (
            'decoder.up.0.block.2.norm1.weight',
            'decoder.up_blocks.3.resnets.2.norm1.weight',
        ),
        (
            'decoder.up.3.upsample.conv.bias',
            'decoder.up_blocks.0.upsamplers.0.conv.bias',
        ),
        (
            'decoder.mid.attn_1.proj_out.weight',
            'decoder.mid_block.attentions.0.to_out.0.weight',
        ),
        ('decoder.norm_out.bias', 'decoder.conv_norm_out.bias'),
        ('quantize.embedding.weight', 'quantize.embedding.weight'),
    ],
)
def test_names(name, expected):
    assert rename_ldm(name, levels=4) == expected


def test_attention_becomes_matrices():
    state = {
        'encoder.mid.attn_1.q.weight': torch.arange(6.0).view(2, 3, 1, 1),
        'encoder.mid.block_1.conv1.weight': torch.zeros(2, 2, 1, 1),
        'quant_conv.weight': torch.zeros(3, 3, 1, 1),
    }
    found = from_ldm(state, 3)
    name = 'encoder.mid_block.attentions.0.to_q.weight'
    assert found[name].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert sorted(tensor.ndim for tensor in found.values()) == [2, 4, 4]

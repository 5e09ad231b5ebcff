"""Names of CogVideoXDiT's tensors in the official files of STAR."""

import re
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Place:
    """The rows of an official tensor that are one of our tensors.

    Attributes:
        name: official name, without the prefix of all names.
        rows: which of `of` equal blocks of rows, in our order.
        of: how many blocks of rows the official tensor has.
    """

    name: str
    rows: tuple[int, ...] = (0,)
    of: int = 1


_BLOCK = r'^transformer\.transformer_blocks\.(\d+)\.'
_LAYER = r'transformer.layers.\1.'
_MIXINS = 'mixins.adaln_layer.'
_QKV = _LAYER + 'attention.query_key_value.'
_ADALN = _MIXINS + r'adaLN_modulations.\1.1.'
# adaLN gives shift, scale and gate of the attention, then of the
# feed-forward: six for the video, then six for the text. Here they stand
# with the layer they belong to.
_RULES = [
    (_BLOCK + r'norm1\.norm\.', Place(_LAYER + 'input_layernorm.')),
    (_BLOCK + r'norm2\.norm\.', Place(_LAYER + 'post_attention_layernorm.')),
    (_BLOCK + r'norm1\.linear\.', Place(_ADALN, (0, 1, 2, 6, 7, 8), 12)),
    (_BLOCK + r'norm2\.linear\.', Place(_ADALN, (3, 4, 5, 9, 10, 11), 12)),
    (_BLOCK + r'attn1\.to_q\.', Place(_QKV, (0,), 3)),
    (_BLOCK + r'attn1\.to_k\.', Place(_QKV, (1,), 3)),
    (_BLOCK + r'attn1\.to_v\.', Place(_QKV, (2,), 3)),
    (_BLOCK + r'attn1\.to_out\.0\.', Place(_LAYER + 'attention.dense.')),
    (
        _BLOCK + r'attn1\.norm_q\.',
        Place(_MIXINS + r'query_layernorm_list.\1.'),
    ),
    (_BLOCK + r'attn1\.norm_k\.', Place(_MIXINS + r'key_layernorm_list.\1.')),
    (_BLOCK + r'ff\.net\.0\.proj\.', Place(_LAYER + 'mlp.dense_h_to_4h.')),
    (_BLOCK + r'ff\.net\.2\.', Place(_LAYER + 'mlp.dense_4h_to_h.')),
    (_BLOCK + r'local1\.conv\.', Place(_LAYER + 'spa_local.conv1.')),
    (_BLOCK + r'local2\.conv\.', Place(_LAYER + 'temp_local.conv1.')),
    (
        r'^transformer\.patch_embed\.proj\.',
        Place('mixins.patch_embed.proj_sr.'),
    ),
    (
        r'^transformer\.patch_embed\.text_proj\.',
        Place('mixins.patch_embed.text_proj.'),
    ),
    (r'^transformer\.time_embedding\.linear_1\.', Place('time_embed.0.')),
    (r'^transformer\.time_embedding\.linear_2\.', Place('time_embed.2.')),
    (r'^transformer\.norm_final\.', Place('transformer.final_layernorm.')),
    (
        r'^transformer\.norm_out\.norm\.',
        Place('mixins.final_layer.norm_final.'),
    ),
    (
        r'^transformer\.norm_out\.linear\.',
        Place('mixins.final_layer.adaLN_modulation.1.'),
    ),
    (r'^transformer\.proj_out\.', Place('mixins.final_layer.linear.')),
]


def find_place(name: str) -> Place:
    """Find the official tensor, without LoRA, that holds one of ours.

    Args:
        name: of a tensor of CogVideoXDiT.
    """
    for pattern, place in _RULES:
        official, changed = re.subn(pattern, place.name, name)
        if changed:
            return replace(place, name=official)
    raise AssertionError(name)


def lora_names(place: Place) -> tuple[str, str, str] | None:
    """Name the tensors into which LoRA splits an official one.

    Args:
        place: from `find_place`.

    Returns:
        Names of the original and, for a weight, of A and B, which exist for
        each block of rows; A and B are empty for a bias. None for a tensor
        without LoRA.
    """
    layer, _, kind = place.name.rpartition('.')
    if not re.search(r'\.attention\.(query_key_value|dense)$', layer):
        return None
    original = f'{layer}.original.{kind}'
    if kind == 'bias':
        return original, '', ''
    (part,) = place.rows
    return original, f'{layer}.matrix_A.{part}', f'{layer}.matrix_B.{part}'

"""The methods of this machine."""

import pytest
from mmengine.config import Config

from star.app.methods import ask


@pytest.mark.slow
def test_methods_of_this_machine():
    found = {method.key: method for method in ask()}
    assert next(iter(found)) == 'tiny_compact'
    here = [found[name] for name in ('tiny_compact', 'bicubic', 'lanczos')]
    assert [method.missing for method in here] == [()] * 3
    assert found['bicubic'].used == ('scale', 'window')
    # its text encoder is constant
    assert 'prompt' not in found['tiny_compact'].used
    assert 'color_fix' in found['tiny_compact'].used
    assert {'adain', 'none'} <= {*found['tiny_compact'].color_fixes}
    # random numbers, results of others, and configs to train with
    for name in ('tiny', 'saved_results', 'finetune_folder', 'tiny_stablesr'):
        assert name not in found
    for word in ('heavy', 'light'):
        method = found[f'i2vgen {word}']
        assert 'prompt' in method.used
        if method.missing:  # not on this machine
            assert 8.2e9 < method.size < 9e9
            assert method.unsized == 1  # the text encoder
    assert 'i2vgen_fsdp heavy' not in found


def test_a_config_without_equal_is_kept():
    from star.app.list_methods import _content  # imports torch

    first = Config({'model': {'type': 'A'}, 'weights': {}})
    second = Config({'model': {'type': 'B'}, 'weights': {}})
    third = Config({'model': {'type': 'C'}, 'weights': {'asset': 'a'}})
    fourth = Config({'model': {'type': 'D'}, 'weights': {'asset': 'a'}})
    contents = [_content(each) for each in (first, second, third, fourth)]
    assert len(set(contents)) == 3
    assert contents[2] == contents[3]

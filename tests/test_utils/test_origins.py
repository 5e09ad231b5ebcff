import hashlib

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from star.utils.origins import (
    Origin,
    SourceFile,
    account,
    allow_random,
    describe_origins,
    digest_of,
    held_names,
    is_random,
    not_allowed,
    read_record,
    set_record,
)


def small_model():
    model = nn.ModuleDict(
        {name: nn.Linear(2, 1) for name in ('net', 'vae', 'table', 'head')}
    )
    model['vae'].requires_grad_(False)
    model['table'].requires_grad_(False)
    return model


VAE = SourceFile('vae', '/a/vae.pt', 'ab' * 32, ('vae.',))
NET = SourceFile('checkpoint', '/a/w.pt', 'cd' * 32, ('net.weight', 'table.'))
RANDOM = {'net.bias', 'head.weight'}


def test_every_tensor_has_an_origin():
    record = account(small_model(), RANDOM, [VAE, NET])
    assert record.origins == [
        Origin('head', 'random', None, 2, 3),  # zeros of a random part too
        Origin('net', 'file', NET, 1, 2),
        Origin('net', 'random', None, 1, 1),
        Origin('table', 'file', NET, 2, 3),
        Origin('vae', 'file', VAE, 2, 3),
    ]
    assert record.in_files == {'vae.weight', 'vae.bias'}
    assert describe_origins(record.origins)[3:] == [
        'table: w.pt (SHA-256 cdcdcdcdcdcd), 3 values',
        'vae: vae.pt (SHA-256 abababababab), 3 values',
    ]


def test_a_name_is_no_beginning():
    file = SourceFile('checkpoint', 'a', 'b', ('net.w', 'vae.'))
    assert file.has('vae.weight') and file.has('net.w')
    assert not file.has('net.weight')


def test_a_checkpoint_need_not_hold_frozen_tensors_of_files():
    model = small_model()
    every = model.state_dict().keys()
    assert held_names(model, every) == every
    set_record(model, account(model, RANDOM, [VAE, NET]))
    lacking = every - held_names(model, every)
    assert lacking == {'vae.weight', 'vae.bias'}
    model['vae'].requires_grad_(True)
    assert held_names(model, every) == every


def test_survives_json():
    record = account(small_model(), RANDOM, [VAE, NET])
    found = read_record(record.to_json({'vae.bias'}))
    assert found.to_json() == record.to_json()
    assert found.files == [VAE]
    assert read_record(record.to_json()).files == []
    with pytest.raises(ValueError, match='not a record of origins'):
        read_record({'origins': [{'part': 'net'}], 'files': []})


def test_random_by_name():
    model = small_model()
    assert not_allowed(model, RANDOM) == RANDOM
    allow_random(model['head'])
    assert not_allowed(model, RANDOM) == {'net.bias'}
    allow_random(model)
    assert not_allowed(model, RANDOM) == set()


def test_is_random():
    model = small_model()
    assert not is_random(model)
    set_record(model, account(model, (), [VAE]))
    assert not is_random(model)
    set_record(model, account(model, {'head.bias'}, [VAE]))
    assert is_random(model)


def test_digests(tmp_path):
    save_file({'a': torch.ones(1)}, tmp_path / '1.safetensors')
    one = hashlib.sha256((tmp_path / '1.safetensors').read_bytes())
    assert digest_of(tmp_path / '1.safetensors') == one.hexdigest()
    assert digest_of(tmp_path) == one.hexdigest()
    save_file({'b': torch.ones(1)}, tmp_path / '2.safetensors')
    both = digest_of(tmp_path)
    assert both != one.hexdigest()
    save_file({'b': torch.zeros(1)}, tmp_path / '2.safetensors')
    assert digest_of(tmp_path) != both

"""A published folder: what is in it, what its card says, what is refused."""

import json

import pytest
import torch
import yaml
from huggingface_hub import ModelCard
from safetensors.torch import load_file

from star.apis import PublishOptions, init_model, publish_model
from star.apis.inference.build import load_config
from star.apis.publish.card import describe_for_hub
from star.apis.publish.facts import CardFacts, find_license
from star.engine.checkpointing import save_checkpoint
from star.registry import MODELS
from star.utils.files import sha256_of
from star.utils.paths import asset_path
from tests.commands import find_problem
from tests.documents import read_document

ASSET = asset_path('star_tiny_compact.safetensors')
TINY = PublishOptions(config='tiny_compact', repo='me/tiny-star')
COMPACT = """
_base_ = 'star::real_esrgan/realesr_general_x4v3.py'
model = dict(num_conv=1)
"""


def write_results(path, digests, **method):
    """Write what of a results.json a card needs."""
    metrics = [
        {'name': 'PSNR', 'higher_is_better': True},
        {'name': 'LPIPS', 'higher_is_better': False},
        {'name': 'DOVER', 'higher_is_better': True},
    ]
    scores = {'PSNR': 'inf', 'LPIPS': 0.25, 'DOVER': None}
    content = {
        'format': 'star-results/1',
        'method': {'weights': digests, 'random_init': False, **method},
        'protocol': {
            'metrics': metrics,
            'fingerprint': 'abcdef' * 10,
            'versions': {'star': '9.9'},
        },
        'sets': {'UDM10': {'clips': 3, 'frames': 7, 'scores': scores}},
    }
    path.write_text(json.dumps(content))
    return path


@pytest.fixture
def results(tmp_path):
    digests = {ASSET.name: sha256_of(ASSET)}
    return write_results(tmp_path / 'results.json', digests)


@pytest.fixture
def run(tmp_path):
    """A training's folder with the state that a card shows."""
    state = {
        'iteration': 40,
        'config': {
            'train_dataloader.dataset.type': "'OpenVid'",
            'train_dataloader.dataset.data_root': "'/home/me/secret/clips'",
            'optim_wrapper.optimizer.lr': '1e-05',
        },
    }
    weights = load_file(ASSET)
    averages = {name: tensor + 1 for name, tensor in weights.items()}
    model = load_config('tiny_compact').model.to_dict()
    records = {'config.json': {'model': model}}
    folder = tmp_path / 'run'
    save_checkpoint(folder, 40, weights, state, averages, records)
    return folder


def refusal(*arguments):
    with pytest.raises(ValueError) as info:
        publish_model(*arguments)
    assert '\n' not in str(info.value)
    return str(info.value)


def test_the_folder_and_its_card(tmp_path, results):
    folder = tmp_path / 'tiny'
    options = PublishOptions(
        config='tiny_compact',
        repo='me/tiny-star',
        license='bsd-3-clause',
        results=[results],
    )
    assert publish_model(ASSET, folder, options) == 1347779
    names = ['README.md', 'config.json', 'model.safetensors']
    assert sorted(path.name for path in folder.iterdir()) == names
    config = json.loads((folder / 'config.json').read_text())
    digest = sha256_of(folder / 'model.safetensors')
    assert config['files'] == {
        'model.safetensors': {'sha256': digest, 'parts': ['backbone']}
    }
    card = ModelCard.load(folder / 'README.md', ignore_metadata_errors=False)
    assert card.data.license == 'bsd-3-clause'
    assert card.data.library_name == 'star-vsr'
    assert card.data.pipeline_tag == 'video-to-video'
    (found,) = card.data.eval_results  # infinity is no number for a header
    assert (found.dataset_name, found.metric_name) == ('UDM10', 'LPIPS')
    assert found.metric_value == 0.25
    assert '| PSNR ↑ | inf |' in card.text and '| LPIPS ↓ | 0.2500 |' in (
        card.text
    )
    assert 'DOVER' not in card.text
    assert (
        'UDM10, 3 clips, 7 frames (protocol abcdefabcdef, star-vsr 9.9)'
        in (card.text)
    )
    assert digest in card.text and 'arxiv.org/abs/2501.02976' in card.text


def test_what_a_card_tells_to_type_exists(tmp_path):
    publish_model(ASSET, tmp_path / 'tiny', TINY)
    document = read_document(tmp_path / 'tiny' / 'README.md')
    restore = 'star restore old.mp4 new.mp4 --config hf://me/tiny-star'
    assert document.commands == ['pip install star-vsr', restore]
    assert [find_problem(each) for each in document.commands] == [None, None]
    (code,) = document.python
    compile(code, 'README.md', 'exec')


def test_a_card_invents_nothing(tmp_path):
    publish_model(ASSET, tmp_path / 'tiny', TINY)
    card = ModelCard.load(tmp_path / 'tiny' / 'README.md')
    assert card.data.license is None and card.data.eval_results is None
    assert card.data.base_model is None
    for sentence in (
        'The file does not say how it was trained.',
        'None were given when this card was written.',
        '## Licence\n\nNone is stated.',
    ):
        assert sentence in card.text


def test_a_training(tmp_path, run):
    folder = tmp_path / 'mine'
    publish_model(run, folder, PublishOptions(averaged=True))
    text = (folder / 'README.md').read_text()
    assert '| iterations | 40 |' in text and '| data set | OpenVid |' in text
    assert '| data | clips |' in text and '| learning rate | 1e-05 |' in text
    assert 'secret' not in text and 'are the averages' in text
    model = init_model(folder, None, 'cpu', 'float32')
    assert model.config_name == 'mine'
    own, start = model.state_dict(), load_file(ASSET)
    assert all(torch.equal(own[name], start[name] + 1) for name in start)


def test_scores_of_averages_are_not_those_of_weights(tmp_path, run):
    folder = run / 'iter_40'
    digests = {
        name: sha256_of(folder / name)
        for name in ('weights.safetensors', 'ema.safetensors')
    }
    path = write_results(tmp_path / 'averaged.json', digests)
    plain = PublishOptions(results=[path])
    assert 'test of other weights' in refusal(run, tmp_path / 'a', plain)
    publish_model(
        run, tmp_path / 'a', PublishOptions(results=[path], averaged=True)
    )
    del digests['ema.safetensors']
    path = write_results(tmp_path / 'plain.json', digests)
    publish_model(run, tmp_path / 'b', PublishOptions(results=[path]))


def test_results_that_are_refused(tmp_path, results):
    other = write_results(tmp_path / 'other.json', {ASSET.name: '0' * 64})
    random = write_results(
        tmp_path / 'random.json',
        {ASSET.name: sha256_of(ASSET)},
        random_init=True,
    )
    note = tmp_path / 'note.json'
    note.write_text('{}')
    for path, expected in (
        (other, 'test of other weights'),
        (random, 'test of other weights'),
        (note, 'is no results.json'),
        (tmp_path / 'none.json', 'cannot be read'),
    ):
        options = PublishOptions(config='tiny_compact', results=[path])
        assert expected in refusal(ASSET, tmp_path / 'tiny', options)
        assert not (tmp_path / 'tiny').exists()


def test_a_method_that_was_trained_elsewhere(tmp_path):
    (tmp_path / 'compact.py').write_text(COMPACT)
    kind = MODELS.get('RealESRGANCompact')
    network = kind(num_conv=1).network
    state = {k: v + 0.1 for k, v in network.state_dict().items()}
    torch.save({'params': state}, tmp_path / 'net.pth')
    config = str(tmp_path / 'compact.py')
    folder = tmp_path / 'compact'
    options = PublishOptions(config=config)
    publish_model(tmp_path / 'net.pth', folder, options)
    ours = init_model(config, tmp_path / 'net.pth', 'cpu')
    theirs = init_model(folder, None, 'cpu')
    clip = torch.randint(256, (2, 3, 8, 12), dtype=torch.uint8)
    assert torch.equal(ours.restore(clip), theirs.restore(clip))
    card = ModelCard.load(folder / 'README.md')
    assert card.data.license == 'bsd-3-clause'
    assert 'Source: Wang et al.' in card.text


@pytest.mark.parametrize(
    ('published', 'given', 'expected'),
    [
        ('MIT', None, ('mit', '')),
        ('MIT', 'apache-2.0', ('apache-2.0', '')),
        ('none stated', None, ('', '')),
        ('', None, ('', '')),
        (
            'S-Lab-1.0 (non-commercial)',
            None,
            ('other', 's-lab-1.0-non-commercial'),
        ),
    ],
)
def test_licences_as_the_hub_names_them(published, given, expected):
    license, name = find_license(published, given)
    facts = CardFacts('me/x', license, name, [], {}, False)
    header = yaml.safe_load(describe_for_hub('x', facts, []))
    found = (header.get('license', ''), header.get('license_name', ''))
    assert found == expected


def test_what_is_there_is_kept(tmp_path):
    folder = tmp_path / 'tiny'
    folder.mkdir()
    (folder / 'mine.txt').write_text('mine')
    publish_model(ASSET, folder, TINY)
    before = (folder / 'README.md').read_text()
    message = refusal(ASSET, folder, TINY)
    assert message == f'{folder}/config.json: exists (use --overwrite)'
    again = PublishOptions(config='tiny_compact', half=True, overwrite=True)
    publish_model(ASSET, folder, again)
    assert (folder / 'README.md').read_text() != before
    assert (folder / 'mine.txt').read_text() == 'mine'
    state = load_file(folder / 'model.safetensors')
    assert {tensor.dtype for tensor in state.values()} == {torch.float16}
    init_model(folder, None, 'cpu')


def test_what_cannot_be_published(tmp_path):
    folder = tmp_path / 'tiny'
    plain = PublishOptions()
    message = refusal(ASSET, tmp_path / 'my model', plain)
    assert message.startswith('`dst`: the name of a model must be letters')
    assert 'does not record its config' in refusal(ASSET, folder, plain)
    assert 'no such file' in refusal(tmp_path / 'none', folder, TINY)
    assert 'must end in .safetensors' in refusal(
        ASSET, tmp_path / 'tiny.bin', TINY
    )
    other = PublishOptions(config='bicubic')
    assert 'means nothing to Bicubic' in refusal(ASSET, folder, other)
    other = PublishOptions(config='tiny')
    message = refusal(ASSET, folder, other)
    assert 'does not fit its config' in message and 'missing' in message
    with pytest.raises(ValueError, match='`repo` must be OWNER/NAME'):
        PublishOptions(repo='tiny')
    assert not folder.exists()

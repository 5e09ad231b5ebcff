import hashlib
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from star.apis.inference.weights import find_weights
from star.utils import weight_files

CONTENT = b'heavy weights'
WANTED = {
    'star': {
        'repo': 'org/star',
        'file': 'sub/heavy.pt',
        'sha256': hashlib.sha256(CONTENT).hexdigest(),
    },
    'vae': {'repo': 'org/svd', 'file': 'vae/vae.safetensors'},
    'text': {
        'repo': 'org/clip',
        'file': 'model.safetensors',
        'beside': ['vocab.json', 'merges.txt'],
    },
    'variants': {
        'heavy': {'repo': 'org/star', 'file': 'sub/heavy.pt'},
        'light': {'repo': 'org/star', 'file': 'sub/light.pt'},
    },
}


class Hub:
    """A hub that has some files, or cannot be reached."""

    def __init__(self, folder: Path, content: bytes = CONTENT) -> None:
        self.folder, self.content = folder, content
        self.online = True
        self.asked: list[tuple[str, bool]] = []

    def download(
        self, repo: str, file: str, local_files_only: bool = False
    ) -> str:
        self.asked.append((f'{repo}/{file}', local_files_only))
        if not self.online:
            raise LocalEntryNotFoundError('no connection')
        path = self.folder / repo / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.content)
        return str(path)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    hub = Hub(tmp_path / 'hub')
    monkeypatch.setattr(huggingface_hub, 'hf_hub_download', hub.download)
    return hub


def put(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b'mine')
    return folder


def test_all_from_the_hub(hub: Hub) -> None:
    paths = find_weights(WANTED)
    assert paths == {
        'star': hub.folder / 'org/star/sub/heavy.pt',
        'vae': hub.folder / 'org/svd/vae/vae.safetensors',
        'text': hub.folder / 'org/clip/model.safetensors',
    }
    asked = [name for name, _ in hub.asked]
    assert 'org/clip/vocab.json' in asked and 'org/clip/merges.txt' in asked


def test_a_word_chooses_a_variant(hub: Hub) -> None:
    paths = find_weights(WANTED, 'light')
    assert paths['star'].name == 'light.pt'
    assert set(paths) == {'star', 'vae', 'text'}


def test_a_file_takes_the_place_of_star(hub: Hub, tmp_path: Path) -> None:
    own = put(tmp_path, 'own.pt') / 'own.pt'
    paths = find_weights(WANTED, own)
    assert paths['star'] == own
    assert paths['vae'].is_relative_to(hub.folder)


@pytest.mark.parametrize(
    'names',
    [
        ['heavy.pt', 'vae/vae.safetensors'],
        ['light.pt', 'vae/diffusion_pytorch_model.safetensors'],
        ['heavy.safetensors', 'vae.safetensors'],
        ['sub/heavy.pt', 'vae/vae.safetensors'],
    ],
)
def test_a_folder_is_searched_first(
    hub: Hub, tmp_path: Path, names: list[str]
) -> None:
    hub.online = False
    text = ['model.safetensors', 'vocab.json', 'merges.txt']
    names = [*names, *(f'text_encoder/{name}' for name in text)]
    folder = put(tmp_path / 'mine', *names)
    paths = find_weights(WANTED, folder)
    assert paths == {
        'star': folder / names[0],
        'vae': folder / names[1],
        'text': folder / names[2],
    }
    assert hub.asked == []


def test_a_part_without_its_companions_is_not_found(
    hub: Hub, tmp_path: Path
) -> None:
    folder = put(tmp_path / 'mine', 'heavy.pt', 'text_encoder/m.safetensors')
    assert find_weights(WANTED, folder)['text'].is_relative_to(hub.folder)


def test_without_network_one_error_names_every_file(hub: Hub) -> None:
    hub.online = False
    with pytest.raises(ValueError, match='missing') as caught:
        find_weights(WANTED)
    message = str(caught.value)
    for name, repo, place in [
        ('heavy.pt', 'org/star', 'FOLDER '),
        ('vae.safetensors', 'org/svd', 'FOLDER/vae'),
        ('model.safetensors', 'org/clip', 'FOLDER/text_encoder'),
    ]:
        (line,) = (i for i in message.splitlines() if repo in i)
        assert name in line and f'huggingface.co/{repo}' in line
        assert place in line
    assert 'vocab.json, merges.txt' in message
    # only the first attempt may wait for a network
    assert [offline for _, offline in hub.asked] == [False, True, True]


def test_a_wrong_download_is_refused_but_kept(hub: Hub) -> None:
    hub.content = b'not the weights'
    with pytest.raises(ValueError, match='SHA-256'):
        find_weights(WANTED)
    assert (hub.folder / 'org/star/sub/heavy.pt').is_file()
    with pytest.raises(ValueError, match='SHA-256'):  # and again
        find_weights(WANTED)


def test_unknown_source(hub: Hub) -> None:
    with pytest.raises(ValueError, match='random, heavy, light') as caught:
        find_weights(WANTED, 'medium')
    assert "'medium'" in str(caught.value)


def test_a_shipped_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weight_files, 'asset_folder', lambda: tmp_path)
    wanted = {'asset': 'small.safetensors'}
    with pytest.raises(ValueError, match=r'no file small\.safetensors'):
        find_weights(wanted)
    path = put(tmp_path, 'small.safetensors') / 'small.safetensors'
    assert find_weights(wanted) == {'asset': path}
    own = put(tmp_path, 'own.safetensors') / 'own.safetensors'
    assert find_weights(wanted, own) == {'asset': own}


def test_a_file_that_has_to_be_made(hub: Hub, tmp_path: Path) -> None:
    made = {
        'file': 'ours.safetensors',
        'made_by': 'python convert.py SRC ours.safetensors',
        'source': 'org/star, big.pt',
    }
    wanted = {**WANTED, 'star': made}
    with pytest.raises(ValueError, match='has to be made first') as caught:
        find_weights(wanted)
    message = str(caught.value)
    assert 'ours.safetensors' in message and '\n' not in message
    assert '`python convert.py SRC ours.safetensors`' in message
    assert 'org/star, big.pt' in message and '--weights' in message
    assert hub.asked == []  # nothing large was downloaded in vain
    file = weight_files.WeightFile(**made)
    assert weight_files.find_local(file) is None
    own = put(tmp_path / 'mine', 'ours.safetensors') / 'ours.safetensors'
    assert find_weights(wanted, own)['star'] == own
    assert find_weights(wanted, own.parent)['star'] == own


def test_weights_that_are_random() -> None:
    assert find_weights({'random': True}) == {}

"""SeedVR2's files: the authors', the community's, and wrong ones."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from star.apis.inference.baselines import load_files
from star.apis.inference.build import build_model, fill_random, load_config
from star.models.editors.seedvr2.seedvr2 import SeedVR2
from star.models.editors.weight_files import FILES

NAMES = ('seedvr2_ema_3b.pth', 'ema_vae.pth', 'pos_emb.pt', 'neg_emb.pt')
LQ = torch.full((1, 3, 8, 8), 90, dtype=torch.uint8)


def make(seed: int | None = None) -> SeedVR2:
    settings = load_config('tiny_seedvr2_3b')
    settings.model.weights = NAMES
    model = build_model(settings).eval()
    fill_random(model, 0 if seed is None else seed)
    return model


def state_of(model: SeedVR2) -> dict[str, Tensor]:
    """Return a transformer's file: with frequencies, here wrong ones."""
    state = dict(model.backbone.state_dict())
    names = (f'blocks.{i}.attn.rope.rope.freqs' for i in range(2))
    return state | {name: torch.zeros(5) for name in names}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write files in the authors' form, filled with seed 3."""
    model = make(3)
    texts = model.texts.positive.detach(), model.texts.negative.detach()
    parts = state_of(model), model.autoencoder.state_dict(), *texts
    for name, part in zip(NAMES, parts, strict=True):
        torch.save(part, tmp_path / name)
    return tmp_path


@pytest.fixture(autouse=True)
def _no_digests(monkeypatch: pytest.MonkeyPatch):
    """The tiny embeddings are not the published ones."""
    monkeypatch.setattr('star.utils.weight_files._verify', lambda *_: None)


def expected() -> Tensor:
    model = make(3)
    model.loaded = True
    return model.restore(LQ)


def test_a_folder_of_the_authors_files(folder: Path):
    model = make()
    with pytest.raises(ValueError, match='has no weights'):
        model.restore(LQ)
    paths = load_files(model, folder)
    assert [path.name for path in paths] == list(NAMES)
    assert torch.equal(model.restore(LQ), expected())


@pytest.mark.parametrize(
    ('dtype', 'name'),
    [
        (torch.float16, 'seedvr2_ema_3b_fp16.safetensors'),
        (torch.float8_e4m3fn, 'seedvr2_ema_3b_fp8_e4m3fn.safetensors'),
    ],
)
def test_copies_of_the_community(folder: Path, dtype: torch.dtype, name: str):
    """They are found by name, and cast up; frequencies are not taken."""
    model = make(3)
    state = {k: x.to(dtype) for k, x in state_of(model).items()}
    save_file(state, folder / name)
    (folder / NAMES[0]).unlink()
    vae = model.autoencoder.state_dict()
    save_file(
        {k: x.half() for k, x in vae.items()},
        folder / 'ema_vae_fp16.safetensors',
    )
    (folder / NAMES[1]).unlink()
    loaded = make()
    paths = load_files(loaded, folder)
    assert [path.name for path in paths[:2]] == [
        name,
        'ema_vae_fp16.safetensors',
    ]
    for key, x in loaded.backbone.state_dict().items():
        assert x.dtype == torch.float32
        assert torch.equal(x, state[key].float())
    error = (loaded.restore(LQ).int() - expected().int()).abs().float()
    assert error.mean() < (30 if dtype.itemsize == 1 else 1)


def test_a_copy_that_carries_the_embeddings(folder: Path):
    model, path = make(3), folder / 'seedvr2_3b_fp16.safetensors'
    texts = {
        'positive_conditioning': model.texts.positive.detach(),
        'negative_conditioning': model.texts.negative.detach(),
    }
    save_file(state_of(model) | texts, path)
    for name in (NAMES[0], *NAMES[2:]):
        (folder / name).unlink()
    loaded = make()
    assert len(load_files(loaded, path)) == 2
    assert torch.equal(loaded.restore(LQ), expected())


def test_older_names_of_attention(folder: Path):
    state = torch.load(folder / NAMES[1], weights_only=True)
    new = 'to_q', 'to_k', 'to_v', 'to_out.0'
    old = 'query', 'key', 'value', 'proj_attn'
    renamed = {}
    for key, x in state.items():
        for name, other in zip(new, old, strict=True):
            key = key.replace(
                f'attentions.0.{name}.', f'attentions.0.{other}.'
            )
        renamed[key] = x
    assert renamed.keys() != state.keys()
    torch.save(renamed, folder / NAMES[1])
    model = make()
    load_files(model, folder)
    assert torch.equal(model.restore(LQ), expected())


def test_wrong_files(folder: Path):
    model = make()
    with pytest.raises(ValueError, match=r'takes 4 files .* got 1'):
        model.load_weights(folder / NAMES[0])
    paths = [folder / name for name in NAMES]
    with pytest.raises(ValueError, match='no tensor alone, but a'):
        model.load_weights(*paths[:3], folder / NAMES[1])
    swapped = [paths[1], paths[0], *paths[2:]]
    with pytest.raises(ValueError, match=r'ema_vae\.pth does not fit Seed'):
        model.load_weights(*swapped)
    state = torch.load(paths[1], weights_only=True)
    del state['decoder.conv_out.bias']
    torch.save(state, paths[1])
    with pytest.raises(ValueError, match=r'1 missing \(decoder.conv_out.bia'):
        model.load_weights(*paths)
    paths[2].write_text('no tensor')
    with pytest.raises(ValueError, match=r'pos_emb\.pt'):
        model.load_weights(*paths)


def test_published_files_are_known():
    assert set(NAMES) <= FILES.keys()
    for name in ('seedvr2_3b', 'seedvr2_7b'):
        wanted = load_config(name).model.weights
        assert {FILES[file].licence for file in wanted} == {'Apache-2.0'}
        assert all(FILES[file].repo for file in wanted)
    for name in NAMES[2:]:
        assert len(FILES[name].sha256) == 64

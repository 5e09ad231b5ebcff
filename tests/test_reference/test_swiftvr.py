"""SwiftVR's networks, windows, chunks and restorations, by the official code.

The official script drops frames beyond 4 k + 1 and crops sides to multiples of
8; its vectors are compared on what it keeps.
"""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from star.models.editors.swiftvr.chunks import read_chunks
from star.models.editors.swiftvr.clip_run import TOKEN, ClipRun
from star.models.editors.swiftvr.live import LiveSession
from star.models.editors.swiftvr.reae import ReAE
from star.models.editors.swiftvr.swiftvr import SwiftVR
from star.models.editors.swiftvr.window_attention import (
    TokenGrid,
    plan_token_windows,
    use_windows,
    window_starts,
)
from star.models.restoration.events import EventRelay
from star.video.padding import pad_amount
from tests.test_reference.vectors import (
    each_vector,
    find_vector,
    list_tensors,
    official_weight,
    read_manifest,
)

FOLDER = 'swiftvr'


def read(path: Path) -> tuple[dict, dict[str, Tensor]]:
    """Read a vector's meta and its arrays."""
    with np.load(path) as vector:
        arrays = {
            name: torch.from_numpy(vector[name])
            for name in vector.files
            if name != 'meta'
        }
        return json.loads(str(vector['meta'])), arrays


@torch.no_grad()
def fill(network: nn.Module, seed: int, total: float, tolerance: float):
    """Fill a network by the rule; ReAE's signal would die without more."""
    codes = isinstance(network, ReAE)
    for name, p in network.named_parameters():
        p.copy_(official_weight(name, p.shape, seed))
        if codes and p.ndim >= 2:
            p.mul_(1.65)
        if codes and name == 'decoder.22.bias':
            p.add_(0.5)
    found = sum(p.double().abs().sum() for p in network.parameters())
    assert float(found) == pytest.approx(total, rel=tolerance)


def sizes_of(config: dict) -> dict:
    width = config['width_mult']
    dims = [256 * width, 128 * width, 64 * width]
    return {'latent_channels': config['latent_channels'], 'dims': dims}


def make(meta: dict, text: Tensor) -> SwiftVR:
    model = SwiftVR(
        meta['transformer'],
        sizes_of(meta['reae']),
        window_size=meta['window'],
        clip_len=meta.get('clip_len', 8),
        context=meta.get('dit_overlap', 0),
        prompt_tokens=len(text),
    )
    fill(model.transformer, meta['seed'], meta['abs_sum_transformer'], 1e-6)
    fill(model.autoencoder, meta['seed'], meta['abs_sum_reae'], 1e-4)
    model.prompt.embedding.copy_(text)
    model.loaded = True
    options = replace(
        model.restore_options, compat='official', scale=meta['upscale']
    )
    model.restore_options = options
    return model


def probe(x: Tensor, most: int) -> Tensor:
    flat = x.reshape(-1)
    places = np.linspace(0, len(flat) - 1, min(len(flat), most)).round()
    return flat[torch.from_numpy(places.astype(np.int64))]


def close(found: Tensor, wanted: Tensor, tolerance: float) -> None:
    assert found.shape == wanted.shape
    assert (found - wanted).abs().max() <= tolerance


def almost_equal(found: Tensor, wanted: Tensor) -> None:
    """Compare pixels: a thousandth of them may differ by 1."""
    assert found.shape == wanted.shape
    apart = (found.int() - wanted.int()).abs()
    assert apart.max() <= 1 and (apart > 0).float().mean() <= 1e-3


def as_clip(frames: Tensor) -> Tensor:
    return frames.permute(0, 3, 1, 2)


def kept(clip: Tensor) -> Tensor:
    """Return what the official script keeps of a clip."""
    frames = (len(clip) - 1) // 4 * 4 + 1
    height, width = (side // 8 * 8 for side in clip.shape[-2:])
    return clip[:frames, :, :height, :width]


@each_vector(f'{FOLDER}/**/transformer_*.npz')
@torch.no_grad()
def test_transformer(path: Path):
    from diffusers import WanTransformer3DModel

    meta, arrays = read(path)
    network = WanTransformer3DModel(**meta['config'])
    fill(network, meta['seed'], meta['abs_sum'], 1e-6)
    x = arrays['hidden_states']
    times = torch.full((len(x),), meta['timestep'])
    given = {'timestep': times, 'encoder_hidden_states': arrays['text']}
    if 'out_full' in arrays:
        out = network(x, return_dict=False, **given)[0]
        close(out, arrays['out_full'], 3e-6)
    grid = TokenGrid(x.shape[2], x.shape[3] // 2, x.shape[4] // 2)
    use_windows(network, grid, meta['window'])
    out = network(x, return_dict=False, **given)[0]
    close(out, arrays['out_windowed'], 3e-6)


@each_vector(f'{FOLDER}/**/reae_*.npz')
@torch.no_grad()
def test_autoencoder(path: Path):
    meta, arrays = read(path)
    network = ReAE(**sizes_of(meta['config']))
    fill(network, meta['seed'], meta['abs_sum'], 1e-4)
    x = arrays['x'][0].float() / 255
    x = torch.cat([x, x[-1:].expand(3, -1, -1, -1)])
    z, _ = network.encode(x, None)
    close(z[None], arrays['latent'], 5e-6)
    raw, _ = network.decode_raw(z, None)
    assert [1, *raw.shape] == meta['raw_shape']
    close(probe(raw, 6000), arrays['decoder_raw_probe'], 1e-5)
    out = network.decode(z, None)[0][3:]
    # pixels of the vector have their channels last
    almost_equal((out * 255).floor(), as_clip(arrays['out_u8']).float())


@each_vector(f'{FOLDER}/**/path_*.npz')
@torch.inference_mode()
def test_restoration(path: Path):
    meta, arrays = read(path)
    model = make(meta, arrays['text'])
    clip = kept(as_clip(arrays['lq']))
    size = meta['resolution'] and tuple(reversed(meta['resolution']))
    run = ClipRun(
        model.networks(),
        clip[0],
        model.restore_options,
        model.chunking,
        size,
    )
    seen = record(run)
    pieces = list(run.pieces(iter(clip), EventRelay(), None))
    out = torch.cat([piece.frames for piece in pieces])
    close(torch.cat(seen['z'])[None], arrays['latent'], 1e-5)
    close(torch.cat(seen['x0'])[None], arrays['restored'], 1e-5)
    restored = torch.cat(seen['out'])[None]
    assert list(restored.shape) == meta['out_shape']
    close(probe(restored, 8192), arrays['out_probe'], 3e-5)
    frames = torch.cat(seen['frames'])
    # three copies of the last frame end it, which the vector leaves out
    prepared = frames[: len(clip)][None]
    close(probe(prepared, 4096), arrays['prepared_probe'], 1e-6)
    compare_pixels(out, arrays)
    if not meta['resolution']:
        assert torch.equal(model.restore(clip), out)


def record(run: ClipRun) -> dict[str, list[Tensor]]:
    """Keep what passes between the networks of a run."""
    seen: dict[str, list[Tensor]] = {'z': [], 'x0': [], 'out': []}
    seen['frames'] = []
    encode, denoise = run.networks.encode, run.networks.denoise
    finish = run.finish

    def see_frames(frames, state):
        seen['frames'].append(frames)
        seen['z'].append(encode(frames, state))
        return seen['z'][-1]

    def see_latents(z, context):
        seen['x0'].append(denoise(z, context))
        return seen['x0'][-1]

    def see_pixels(out):
        seen['out'].append(out)
        return finish(out)

    run.networks.encode, run.networks.denoise = see_frames, see_latents
    run.finish = see_pixels
    return seen


def compare_pixels(out: Tensor, arrays: dict[str, Tensor]) -> None:
    if 'out_u8' in arrays:
        almost_equal(out, as_clip(arrays['out_u8']))
    else:
        almost_equal(out[..., ::2, ::2], as_clip(arrays['out_u8_half']))


@each_vector(f'{FOLDER}/**/session_*.npz')
@torch.inference_mode()
def test_session(path: Path):
    meta, arrays = read(path)
    overlap = meta.pop('dit_overlap')
    session = LiveSession(make(meta, arrays['text']), overlap)
    steps = [
        session.step(frames)
        for frames in as_clip(arrays['lq']).split(meta['pieces'])
    ]
    steps.append(session.flush())
    counts = [None if step is None else len(step) for step in steps]
    assert counts == meta['frames_out']
    out = torch.cat([step for step in steps if step is not None])
    assert [1, *out.shape] == meta['out_shape']
    compare_pixels(out, arrays)


@each_vector(f'{FOLDER}/**/windows.json')
def test_windows(path: Path):
    known = json.loads(path.read_text())
    for length, size, shifted, starts in known['starts']:
        assert window_starts(length, size, bool(shifted)) == starts
    for case in known['owners']:
        rows, columns, shifted = case['H'], case['W'], case['shift']
        size = tuple(case['window'])
        windows = plan_token_windows(rows, columns, size, shifted)
        assert len(windows) == case['windows']
        numbered = list(enumerate(windows))
        owner = torch.full((rows, columns), -1)
        for number, here in numbered if shifted else reversed(numbered):
            owner[here] = number
        if 'owner' in case:
            assert owner.tolist() == case['owner']


@each_vector(f'{FOLDER}/**/geometry.json')
def test_chunks(path: Path):
    for case in json.loads(path.read_text())['chunks']:
        frames = [torch.tensor(i) for i in range(case['frames'])]
        found, start = [], 0
        for chunk, read_frames in read_chunks(iter(frames), case['clip_len']):
            kind = 'last' if chunk.last else 'middle'
            kind = 'first' if chunk.first and not chunk.last else kind
            count = len(read_frames)
            assert [int(i) for i in read_frames] == list(
                range(start, start + count)
            )
            more = chunk.groups - 1 if chunk.last else 0
            found.append([kind, start, count, more, int(chunk.first)])
            start += count
        assert found == case['chunks']


@each_vector(f'{FOLDER}/**/geometry.json')
def test_sizes(path: Path):
    """What the script neither drops nor cuts off is padded alike."""
    for case in json.loads(path.read_text())['sizes']:
        if 'error' in case:  # too small for the script
            continue
        size = [case['upscale'] * side for side in case['cropped']]
        if case['resolution']:
            size = case['resolution'][::-1]
        assert size == case['out']
        padding = pad_amount(*size, (TOKEN, TOKEN), (0, 0))
        assert [*padding] == case['pad']


@pytest.mark.parametrize(
    ('part', 'manifest', 'count'),
    [
        ('transformer', 'manifest_transformer.tsv', 4_999_787_712),
        ('autoencoder', 'manifest_reae.tsv', 40_946_364),
    ],
)
def test_released_tensors(part: str, manifest: str, count: int):
    wanted = read_manifest(f'{FOLDER}/{manifest}')
    find_vector(f'{FOLDER}/{manifest}')
    with torch.device('meta'):
        network = SwiftVR().get_submodule(part)
    found = {row['name']: row['shape'] for row in list_tensors(network)}
    assert found == {row['name']: row['shape'] for row in wanted}
    assert sum(p.numel() for p in network.parameters()) == count

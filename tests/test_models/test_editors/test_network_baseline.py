"""Networks get padded, tiled, chunked pixels, and weights that fit."""

import pickle
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from star.models.editors import NetworkBaseline, Recipe
from star.models.restoration.choose import choose_options
from tests.test_models.fakes import random_clip

RECIPE = Recipe(2, window=3, size_multiple=4, min_size=8, licence='MIT')


class Double(NetworkBaseline):
    """Enlarges by two with a 3 x 3 convolution; notes what it was given."""

    def __init__(
        self,
        recipe: Recipe = RECIPE,
        weights: str | None = None,
        window: int | None = None,
        tile: int = 0,
        tile_overlap: int = 4,
    ) -> None:
        super().__init__(recipe, weights, window, None, tile, tile_overlap)
        self.network = nn.Conv2d(3, 3, 3, padding=1)
        self.given: list[Tensor] = []

    def restore_frames(self, x: Tensor) -> Tensor:
        self.given.append(x.clone())
        y = self.network(x)
        x.zero_()  # allowed
        return F.interpolate(y, scale_factor=2, mode='nearest')


class Sums(Double):
    """Adds up all frames so far; what it remembers is an average."""

    def restore_frames(self, x: Tensor) -> Tensor:
        frames = []
        for frame in x:
            old = frame if self.state is None else self.state
            self.state = 0.5 * old + 0.5 * frame
            frames.append(self.state)
        return F.interpolate(torch.stack(frames), scale_factor=2)


def ready(model: NetworkBaseline) -> NetworkBaseline:
    torch.manual_seed(0)
    for parameter in model.parameters():
        nn.init.normal_(parameter, 0.05, 0.05)
    model.load_state_dict(model.state_dict())
    return model


def clip(frames: int = 4, height: int = 13, width: int = 18) -> Tensor:
    return random_clip(frames, height, width, seed=frames)


def test_pixels_are_scaled_and_rounded():
    model, lq = ready(Double()), clip(2, 8, 8)
    with torch.no_grad():
        expected = model.network(lq.float() / 255) * 255
    expected = expected.repeat_interleave(2, -1).repeat_interleave(2, -2)
    out = model.restore(lq)
    assert out.dtype == torch.uint8
    assert expected.min() < 0 or expected.max() > 255 or out.any()
    assert (out - expected.clamp(0, 255)).abs().max() <= 0.5001


@pytest.mark.parametrize('frames', [1, 2, 3, 4, 7])
def test_as_many_frames_and_the_callers_clip_stays(frames):
    model, lq = ready(Double()), clip(frames)
    before = lq.clone()
    assert model.restore(lq).shape == (frames, 3, 26, 36)
    assert torch.equal(lq, before)
    sizes = [len(x) for x in model.given]
    assert sum(sizes) == frames and max(sizes) <= 3


def test_pads_to_multiples_and_to_the_least_size():
    model = ready(Double())
    model.restore(clip(1, 13, 18))
    (x,) = model.given
    assert x.shape == (1, 3, 16, 20)
    lq = clip(1, 13, 18) / 255
    assert torch.equal(x[..., :13, :18], lq)
    assert torch.equal(x[..., :13, 18:], lq[..., [16, 15]])  # reflected
    assert torch.equal(x[..., 13:, :18], lq[..., [11, 10, 9], :])
    model.given.clear()
    model.restore(clip(1, 3, 5))  # too short to be reflected
    (x,) = model.given
    assert x.shape == (1, 3, 8, 8)
    assert torch.equal(x[..., 3:, :5], (clip(1, 3, 5) / 255)[..., [2] * 5, :])
    replicated = ready(Double(replace(RECIPE, pad='replicate')))
    replicated.restore(clip(1, 13, 18))
    (x,) = replicated.given
    assert torch.equal(x[..., :13, 18:], lq[..., [17, 17]])


@pytest.mark.parametrize('tile', [8, 9, 12])
def test_tiles_hide_no_seams(tile):
    lq = clip(2, 29, 22)
    whole, tiled = ready(Double()).restore(lq), ready(Double(tile=tile))
    out = tiled.restore(lq)
    side = tile // 4 * 4
    assert {x.shape[-2:] for x in tiled.given} == {(side, side)}
    # tiles see zeros beside them, one pixel deep, as frames do
    assert (out.int() - whole).abs().max() < 25
    assert (out == whole).float().mean() > 0.3


def test_tiles_of_a_network_that_looks_at_one_pixel_change_nothing():
    lq = clip(5, 21, 30)
    whole, tiled = ready(Sums()), ready(Sums(tile=12))
    difference = whole.restore(lq).int() - tiled.restore(lq)
    # averages lie halfway between levels, weights sum to 1 within 1e-7
    assert difference.abs().max() <= 1


@pytest.mark.parametrize('window', [1, 2, 5])
@pytest.mark.parametrize('tile', [0, 12])
def test_what_is_remembered_goes_from_chunk_to_chunk(window, tile):
    lq = clip(5)
    model = ready(Sums(window=window, tile=tile))
    expected, state = [], lq[0] / 255
    for frame in lq / 255:
        state = 0.5 * state + 0.5 * frame
        expected.append(state * 255)
    for _ in range(2):  # and a clip begins anew
        out = model.restore(lq)[..., ::2, ::2]
        assert (out - torch.stack(expected)).abs().max() <= 0.501


def test_two_streams_do_not_mix():
    model, clips = ready(Sums(window=1)), (clip(3), clip(4)[:3])
    streams = [model.restore_stream(lq) for lq in clips]
    found = list(zip(*streams, strict=True))
    for lq, pieces in zip(clips, zip(*found, strict=True), strict=True):
        assert torch.equal(torch.cat(pieces), model.restore(lq))


def test_half_precision():
    model = ready(Double())
    expected = model.restore(clip())
    model.network.to(torch.bfloat16)
    out = model.restore(clip())
    assert model.given[-1].dtype == torch.bfloat16
    assert 0 < (out.int() - expected).abs().max() <= 4


def test_options():
    model = ready(Double(tile=12))
    options = model.restore_options
    assert (options.scale, options.window, options.overlap) == (2, 3, 0)
    assert (options.tile, options.tile_overlap) == (24, 8)
    used = {'scale', 'window', 'tile', 'tile_overlap', 'fidelity'}
    assert model.options_used == used
    facts = model.describe_options(replace(options, window=7, seed=3))
    assert facts['window'] == 7 and facts['tile'] == 24
    assert facts['licence'] == 'MIT' and facts['min_size'] == 8
    assert 'seed' not in facts and 'prompt' not in facts
    out = model.restore(clip(), replace(options, tile=(24, 32)))
    assert out.shape == (4, 3, 26, 36)
    assert model.given[-1].shape[-2:] == (12, 16)


@pytest.mark.parametrize(
    ('change', 'rule'),
    [
        ({'scale': 4}, '`scale` must be 2 for Double, got 4'),
        ({'tile': 14}, '`tile` must be at least 16 output pixels.*got 14'),
        ({'tile': 30, 'tile_overlap': 24}, '`tile` must be at least 32'),
        ({'tile': (24, 12)}, r'`tile` must be at least 16 .*got \(24, 12\)'),
    ],
)
def test_refuses_options(change, rule):
    model = ready(Double())
    options = replace(model.restore_options, **change)
    with pytest.raises(ValueError, match=rule):
        model.restore_stream(clip(), options)


def test_refuses_options_that_mean_nothing():
    model = ready(Double())
    with pytest.raises(ValueError, match='`overlap` means nothing to Double'):
        choose_options(model, {'overlap': 1, 'tile': 32})


def test_without_weights_nothing_is_restored():
    model = Double(weights='double.pth')
    assert model.weight_files == ('double.pth',) and not model.loaded
    with pytest.raises(ValueError, match=r'^Double has no weights: name a'):
        model.restore(clip())


@pytest.mark.parametrize('wrapper', [None, 'params', 'params_ema', 'both'])
def test_loads_files(tmp_path, wrapper):
    path, state = tmp_path / 'net.pth', ready(Double()).network.state_dict()
    wrong = {k: torch.zeros_like(v) for k, v in state.items()}
    saved = {wrapper: state} if wrapper else state
    if wrapper == 'both':
        saved = {'params': wrong, 'params_ema': state}
    torch.save(saved, path)
    model = Double()
    model.load_weights(path)
    assert model.loaded
    for name, tensor in model.network.state_dict().items():
        assert torch.equal(tensor, state[name])


def test_names_can_be_translated(tmp_path):
    class Renamed(Double):
        wrappers = ('state_dict',)

        def rename(self, name: str) -> str | None:
            if not name.startswith('ema.'):
                return None
            return name.removeprefix('ema.')

    state = ready(Double()).network.state_dict()
    saved = {f'ema.{name}': tensor for name, tensor in state.items()}
    saved['step'] = torch.zeros(())
    torch.save({'state_dict': saved, 'meta': {}}, tmp_path / 'net.pth')
    model = Renamed()
    model.load_weights(tmp_path / 'net.pth')
    assert torch.equal(model.network.weight, state['weight'])


class Code:
    def __reduce__(self):
        return print, ('it ran',)


@pytest.mark.parametrize(
    ('content', 'rule'),
    [
        (nn.Conv2d(3, 3, 1).state_dict(), 'does not fit Double, .*1 of anoth'),
        ({'params': nn.Linear(2, 2).state_dict()}, 'net.pth does not fit'),
        (
            {**nn.Conv2d(3, 3, 3).state_dict(), 'more': torch.ones(1)},
            r'1 unknown \(more',
        ),
        ({'params': {}}, 'net.pth: holds no state dict'),
        ({'params': {'step': 3}}, "net.pth: .*'step' is not a tensor but int"),
        ([1, 2], 'net.pth: holds a list, not a state dict'),
        (b'', 'net.pth'),
        (b'noise' * 100, 'net.pth'),
        (pickle.dumps({'weight': Code()}), 'net.pth: not a plain file'),
    ],
)
def test_refuses_files(tmp_path, capsys, content, rule):
    path = tmp_path / 'net.pth'
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    model = Double()
    with pytest.raises(ValueError, match=rule) as caught:
        model.load_weights(path)
    assert '\n' not in str(caught.value) and not model.loaded
    assert 'it ran' not in capsys.readouterr().out


def test_refuses_a_truncated_file(tmp_path):
    path = tmp_path / 'net.pth'
    torch.save(ready(Double()).network.state_dict(), path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ValueError, match=r'net\.pth') as caught:
        Double().load_weights(path)
    assert '\n' not in str(caught.value)

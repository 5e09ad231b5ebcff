"""DBVSR: its parts, its windows in time, its files."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from einops import rearrange
from torch import Tensor

from star.models.editors import DBVSR
from star.models.editors.dbvsr.dbvsr import DBVSRNet, enlarge, space_to_depth
from tests.test_models.fakes import random_clip


@pytest.fixture(scope='module')
def state() -> dict[str, Tensor]:
    """A small network's, whose output spreads over [0, 1]."""
    torch.manual_seed(0)
    made = DBVSRNet(1, 1).state_dict()
    made['tail.1.weight'] *= 4
    made['tail.1.bias'] += 0.5
    return made


def model(
    state: dict[str, Tensor], real_flow: bool = False, **options
) -> DBVSR:
    """Build a small one; a flow that costs nothing serves most tests."""
    made = DBVSR(num_groups=1, num_blocks=1, **options).eval()
    made.network.load_state_dict(state)
    made.loaded = True
    if not real_flow:
        network = made.network.flow_network
        network.prepare = lambda frames: [frames]  # type: ignore
        network.flow = difference  # type: ignore
    return made.requires_grad_(False)


def difference(
    first: list[Tensor], second: list[Tensor], size: tuple[int, int]
) -> Tensor:
    assert first[0].shape[-2:] == size
    return 3 * (first[0] - second[0])[:, :2]


def clip(frames: int = 6, height: int = 9, width: int = 14) -> Tensor:
    return random_clip(frames, height, width)


def unit(lq: Tensor) -> Tensor:
    return lq.float() / 255


def test_number_of_parameters():
    """As published, but for the network that makes the kernel."""
    with torch.device('meta'):
        network = DBVSRNet()
    counts = {
        name: sum(p.numel() for p in part.parameters())
        for name, part in network.named_children()
    }
    assert counts == {
        'pwcnet': 9_374_274,
        'head': 88_192,
        'body': 15_293_408,
        'tail': 297_155,
    }


def test_kernel_is_the_published_one():
    """Its sum and centroid, as measured on the authors' file."""
    kernel = DBVSRNet(0, 0).kernel.double()
    assert kernel.shape == (15, 15)
    assert abs(kernel.sum() - 0.999992) < 1e-6
    where = torch.arange(15).double()
    row = (kernel.sum(1) @ where) / kernel.sum()
    column = (kernel.sum(0) @ where) / kernel.sum()
    assert abs(row - 6.5002) < 1e-4
    assert abs(column - 7.4997) < 1e-4


@pytest.mark.parametrize('size', [(9, 14), (1, 5), (33, 47)])
def test_enlarges_as_opencv(size: tuple[int, int]):
    height, width = size
    lq = clip(1, height, width)
    frame = rearrange(lq[0], 'c h w -> h w c').numpy().astype(np.float64)
    expected = cv2.resize(
        frame, (4 * width, 4 * height), interpolation=cv2.INTER_CUBIC
    )
    found = rearrange(enlarge(lq.double())[0], 'c h w -> h w c').numpy()
    assert np.abs(found - expected).max() < 1e-4
    assert enlarge(unit(lq).bfloat16()).dtype == torch.float32


def test_space_to_depth_goes_by_rows_then_columns_then_colours():
    x = torch.arange(2 * 3 * 8 * 12).view(2, 3, 8, 12)
    folded = space_to_depth(x)
    assert folded.shape == (2, 48, 2, 3)
    for row, column, colour in ((0, 1, 2), (2, 0, 0), (3, 3, 1)):
        channel = 3 * (4 * row + column) + colour
        assert torch.equal(folded[:, channel], x[:, colour, row::4, column::4])


def test_views_of_a_window_in_their_order(state: dict[str, Tensor]):
    """Equal frames and no motion: the six views are known."""
    network = model(state).network
    network.flow_network.flow = (  # type: ignore
        lambda first, second, size: torch.zeros(1, 2, *size)
    )
    seen = []
    network.head.register_forward_pre_hook(lambda _, args: seen.append(*args))
    x = unit(clip(3))
    network.restore(*(network.prepare(frame) for frame in x.split(1)))
    views = seen[0].split([48, 3, 48, 3, 48, 3], dim=1)
    large = space_to_depth(enlarge(x))
    expected = [large[:1], x[:1], None, x[1:2], large[2:], x[2:]]
    for view, value in zip(views, expected, strict=True):
        if value is not None:
            assert (view - value).abs().max() < 1e-5
    # the middle frame, deconvolved, is sharper than enlarged
    unfolded = rearrange(
        views[2], 'n (i j c) h w -> n c (h i) (w j)', i=4, j=4
    )
    blurred = enlarge(x[1:2])
    assert unfolded.diff(dim=-1).std() > 1.1 * blurred.diff(dim=-1).std()


def test_neighbours_are_moved_onto_the_middle_frame(state: dict[str, Tensor]):
    """A flow of 2 pixels to the right fetches what is 2 to the right."""
    network = model(state).network

    def flow(first, second, size: tuple[int, int]) -> Tensor:
        value = torch.zeros(1, 2, *size)
        value[:, 0] = 2
        return value

    network.flow_network.flow = flow  # type: ignore
    other, frame = (network.prepare(f) for f in unit(clip(2)).split(1))
    large, small = network.align(other, frame)
    assert (small[..., :-2] - other.small[..., 2:]).abs().max() < 1e-5
    assert (large[..., :-2] - other.large[..., 2:]).abs().max() < 1e-5
    assert not small[..., -2:].any()


def test_whole_clip_is_its_windows(state: dict[str, Tensor]):
    """The outer frames see themselves where there is no neighbour."""
    network, x = model(state).network, unit(clip(4))
    found = network(x)
    frames = [network.prepare(frame) for frame in x.split(1)]
    for i, expected in ((0, (0, 0, 1)), (1, (0, 1, 2)), (3, (2, 3, 3))):
        window = network.restore(*(frames[j] for j in expected))
        assert torch.equal(found[i], window[0])
    swapped = network.restore(frames[2], frames[1], frames[0])
    assert (swapped[0] - found[1]).abs().max() > 1e-3


@pytest.mark.parametrize(
    ('window', 'overlap'), [(3, 2), (4, 2), (5, 3), (5, 4), (24, 2)]
)
def test_does_not_depend_on_the_chunk(
    state: dict[str, Tensor], window: int, overlap: int
):
    lq = clip()
    before = lq.clone()
    out = model(state, window=window, overlap=overlap).restore(lq)
    x = model(state).network(unit(lq))
    expected = (x * 255).round().clamp(0, 255).to(torch.uint8)
    assert torch.equal(out, expected)
    assert torch.equal(lq, before)
    assert out.shape == (6, 3, 36, 56)
    assert ((out > 0) & (out < 255)).float().mean() > 0.9


@pytest.mark.parametrize('shape', [(1, 9, 11), (2, 1, 1), (3, 8, 5)])
def test_short_and_small_clips(
    state: dict[str, Tensor], shape: tuple[int, int, int]
):
    frames, height, width = shape
    out = model(state, real_flow=True).restore(clip(*shape))
    assert out.shape == (frames, 3, 4 * height, 4 * width)


def test_too_little_overlap():
    with pytest.raises(ValueError, match='`overlap` at least 2 for DBVSR'):
        DBVSR(window=4, overlap=1, num_groups=0)


def test_bfloat16_is_close(state: dict[str, Tensor]):
    lq = clip(2)
    exact = model(state, real_flow=True).restore(lq).float()
    half = model(state, real_flow=True).bfloat16().restore(lq).float()
    assert exact.std() > 20
    error = (half - exact).abs()
    assert error.mean() < 1
    assert error.max() < 6


def with_kernel_network(state: dict[str, Tensor]) -> dict[str, Tensor]:
    layer = 'fcnnet.lineLayer'
    extra = {f'{layer}1.weight': torch.zeros(1000, 225)}
    return state | extra | {f'{layer}2.bias': torch.zeros(225)}


def save(state: dict[str, Tensor], path: Path) -> str:
    torch.save(state, path)
    return str(path)


def test_loads_the_published_names(state: dict[str, Tensor], tmp_path: Path):
    """Also those of the kernel's network, which is of no use."""
    path = save(with_kernel_network(state), tmp_path / 'model_dbvsr.pt')
    made = DBVSR(num_groups=1, num_blocks=1)
    assert made.weight_files == (None,)
    made.load_weights(path)
    assert made.loaded
    for name, tensor in made.network.state_dict().items():
        assert torch.equal(tensor, state[name])


@pytest.mark.parametrize('whole', [True, False])
def test_flow_network_from_its_own_file(
    state: dict[str, Tensor], tmp_path: Path, whole: bool
):
    prefix = 'pwcnet.moduleNetwork.'
    flow = {
        name.removeprefix(prefix): tensor + 1
        for name, tensor in state.items()
        if name.startswith(prefix)
    }
    rest = {n: v for n, v in state.items() if not n.startswith(prefix)}
    made = DBVSR('a.pt', 'b.pytorch', num_groups=1, num_blocks=1)
    assert made.weight_files == ('a.pt', 'b.pytorch')
    made.load_weights(
        save(with_kernel_network(state if whole else rest), tmp_path / 'a'),
        save(flow, tmp_path / 'b'),
    )
    assert made.loaded
    found = made.network.state_dict()
    assert found.keys() == state.keys()
    for name, tensor in found.items():
        added = 1 if name.startswith(prefix) else 0
        assert torch.equal(tensor, state[name] + added)


def test_files_of_other_networks(state: dict[str, Tensor], tmp_path: Path):
    rest = {n: v for n, v in state.items() if not n.startswith('pwcnet')}
    path = save(rest, tmp_path / 'rest.pt')
    made = DBVSR(num_groups=1, num_blocks=1)
    with pytest.raises(ValueError, match=r'rest\.pt does not fit DBVSR.*126'):
        made.load_weights(path)
    with pytest.raises(ValueError, match=r'rest\.pt does not fit DBVSR'):
        made.load_weights(path, path)
    assert not made.loaded
    with pytest.raises(ValueError, match='DBVSR has no weights'):
        made.restore(clip(1))

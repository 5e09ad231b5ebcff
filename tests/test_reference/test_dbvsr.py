"""Outputs of DBVSR and PWC-Net on deterministic weights, official code."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from star.models.editors.dbvsr.dbvsr import DBVSRNet, PreparedFrame, enlarge
from star.models.editors.dbvsr.deconvolution import deconvolve
from star.models.editors.dbvsr.pwcnet import PWCNet, warp_inside
from tests.test_reference.vectors import (
    Vector,
    each_vector,
    find_vector,
    find_vectors,
    list_tensors,
    official_weight,
    read_manifest,
    thin,
)


def fill(network: nn.Module, seed: int, extractor: float, other: float):
    """Fill by name; matrices of PWC-Net are larger by a gain."""
    for name, parameter in network.named_parameters():
        value = official_weight(name, parameter.shape, seed)
        if value.ndim > 1 and name.startswith(('pwcnet', 'module')):
            value *= extractor if 'moduleExtractor' in name else other
        parameter.data.copy_(value)
    return network.eval().requires_grad_(False)


def frames(array: np.ndarray) -> Tensor:
    return torch.from_numpy(array).permute(0, 3, 1, 2).float() / 255


def check(found: Tensor, vector: Vector, key: str, bound: float) -> None:
    assert np.abs(thin(found, vector) - vector[key]).max() < bound


@each_vector('dbvsr/pwc_*.npz')
def test_flow(path: Path):
    vector: Vector = np.load(path)
    gains = (float(vector[f'gain_{part}']) for part in ('extractor', 'other'))
    network = fill(PWCNet(), int(vector['seed']), *gains)
    first, second = frames(vector['frames_u8_nhwc']).split(1)
    pyramids = [network.prepare(frame) for frame in (first, second)]
    check(pyramids[0][1][0], vector, 'feat_level3_first', 5e-6)
    check(network.quarter_flow(*pyramids)[0], vector, 'flow_quarter', 5e-6)
    flow = network(first, second)
    check(flow[0], vector, 'flow', 3e-5)
    moved = warp_inside(second, flow, 'border')
    check(moved[0], vector, 'warp_second_to_first', 5e-6)


@each_vector('dbvsr/pwc_*.npz')
def test_flow_of_frames_of_another_size(path: Path):
    """72x100, which PWC-Net sees as 128x128."""
    vector: Vector = np.load(path)
    gains = (float(vector[f'gain_{part}']) for part in ('extractor', 'other'))
    network = fill(PWCNet(), int(vector['seed']), *gains)
    first, second = frames(vector['frames2_u8_nhwc']).split(1)
    flow = network(first, second)
    check(flow[0], vector, 'flow2', 3e-5)
    check(warp_inside(second, flow, 'border')[0], vector, 'warp2', 5e-6)


@each_vector('dbvsr/parity_*.npz')
def test_outputs(path: Path):
    vector: Vector = np.load(path)
    gains = (float(vector[f'pwc_gain_{p}']) for p in ('extractor', 'other'))
    network = fill(DBVSRNet(), int(vector['seed']), *gains)
    x = frames(vector['frames_u8_nhwc'])
    check(enlarge(x), vector, 'x_bicubic_nchw', 1e-6)
    window = [network.prepare(frame) for frame in x.split(1)]
    sharp = deconvolve(window[1].large, network.kernel)
    check(sharp[0], vector, 'deconv', 5e-6)
    for other in (0, 2):
        check_alignment(network, window, other, vector)
    check_network(network, window, vector)


def check_alignment(
    network: DBVSRNet, window: list[PreparedFrame], other: int, vector: Vector
) -> None:
    large, small = network.align(window[other], window[1])
    check(large[0], vector, f'warp_bic_{other}to1', 5e-6)
    check(small[0], vector, f'warp_lr_{other}to1', 5e-6)
    flow = network.flow_network.flow(
        window[1].large_pyramid,
        window[other].large_pyramid,
        tuple(window[1].large.shape[-2:]),
    )
    check(flow[0], vector, f'flow_bic_{other}to1', 5e-5)


def check_network(
    network: DBVSRNet, window: list[PreparedFrame], vector: Vector
) -> None:
    """Compare the outputs of head, body (values up to 14) and network."""
    seen = {}
    for name in ('head', 'body'):
        network.get_submodule(name).register_forward_hook(
            lambda _, __, out, name=name: seen.update({name: out.clone()})
        )
    out = network.restore(*window)
    check(seen['head'][0, :8], vector, 'head_out_8ch', 5e-6)
    check(seen['body'][0, :8], vector, 'body_out_8ch', 1e-4)
    check(out[0], vector, 'out_chw', 5e-5)


def shapes(rows: list[dict[str, str]]) -> dict[str, str]:
    return {row['name']: row['shape'] for row in rows}


def test_inventory():
    """Names and shapes are those of the published files."""
    with torch.device('meta'):
        network, flow = DBVSRNet(), PWCNet()
    found = shapes(list_tensors(flow))
    assert found == shapes(read_manifest('dbvsr/pwc_manifest.tsv'))
    published = shapes(read_manifest('dbvsr/manifest.tsv'))
    found = shapes(list_tensors(network))
    left_out = published.keys() - found.keys()
    assert {name.split('.')[0] for name in left_out} == {'fcnnet'}
    assert found.items() == {
        item for item in published.items() if item[0] not in left_out
    }


def test_kernel():
    kernel = np.load(find_vector('dbvsr/kernel.npz'))['kernel']
    assert np.array_equal(DBVSRNet(0, 0).kernel.numpy(), kernel)


def test_vectors_found():
    assert find_vectors('dbvsr/parity_*.npz')
    assert find_vectors('dbvsr/pwc_*.npz')

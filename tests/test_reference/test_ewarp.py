"""Flow warping error against reference values."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from star.evaluation.functional.ewarp import (
    ewarp_details,
    occluded,
    warping_error,
)
from star.evaluation.networks.flow import RAFT
from tests.paths import WEIGHTS
from tests.test_reference.vectors import each_vector

KEYS = {
    'evalcrafter': 'evalcrafter',
    'evalcrafter_fixed': 'evalcrafter_fixed',
    'lai': 'full_resolution_channel_mean',
}


def load(path: Path) -> tuple[dict[str, Tensor], dict]:
    arrays = {k: torch.from_numpy(v) for k, v in np.load(path).items()}
    return arrays, json.loads(path.with_suffix('.json').read_text())


@each_vector('ewarp/*.npz')
def test_warping_and_mask_for_given_flows(path: Path):
    arrays, expected = load(path)
    key = next(k for k in expected if k.startswith('flows_given_crop'))
    top, bottom, left, right = map(int, key.split('_')[-4:])
    if 'crop_tchw' in arrays:
        crop = arrays['crop_tchw'].float() / 255
    else:
        frames = arrays['frames_tchw'].float() / 255
        crop = frames[..., top:bottom, left:right]
    for i, values in enumerate(expected[key]):
        forward = arrays['crop_flow_forward'][i, None]
        backward = arrays['crop_flow_backward'][i, None]
        hidden = occluded(forward, backward)[0]
        assert torch.equal(hidden, arrays['crop_non_occluded'][i] < 0.5)
        for name in ('sum_over_channels', 'channel_mean'):
            found = warping_error(
                crop[i, None],
                crop[i + 1, None],
                forward,
                backward,
                name == 'sum_over_channels',
            )
            assert found.item() == pytest.approx(values[name], rel=1e-6)


@each_vector('ewarp/*[!p].npz')  # a crop has no values for whole frames
@pytest.mark.parametrize('preset', KEYS)
def test_end_to_end(path: Path, preset: str):
    if WEIGHTS is None or not (WEIGHTS / 'raft-small.pth').is_file():
        pytest.skip('no raft-small.pth (set STAR_WEIGHTS)')
    arrays, expected = load(path)
    flow = RAFT('small', str(WEIGHTS / 'raft-small.pth'))
    found = ewarp_details(flow, arrays['frames_tchw'], preset)
    values = expected[KEYS[preset]]
    # processors round RAFT differently: by 2e-5 from AVX-512 to AVX2
    assert found.errors.tolist() == pytest.approx(values['per_pair'], rel=5e-5)
    assert found.flow.tolist() == pytest.approx(
        values['mean_flow_px'], rel=1e-4
    )

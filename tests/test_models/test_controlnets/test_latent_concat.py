import pytest
import torch

from star.models.controlnets import LatentConcat


def test_control_is_the_low_quality_latents():
    z_t, z_lq = torch.randn(2, 1, 4, 3, 2, 2)
    text = torch.randn(1, 5, 6)
    concat = LatentConcat()
    assert concat(z_t, torch.tensor([3]), text, z_lq) is z_lq
    assert concat.project_text(text) is text
    assert not concat.state_dict()


def test_other_shape_is_refused():
    z = torch.zeros(1, 4, 3, 2, 2)
    with pytest.raises(ValueError, match=r'got \(1, 4, 2, 2, 2\) and'):
        LatentConcat()(z, torch.tensor([3]), z, z[:, :, :2])

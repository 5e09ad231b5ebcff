import pytest
import torch

from projects.small_models.compact_init import start_from_image_network
from star.models.autoencoders.patch_dct import PatchDCT
from star.models.backbones import CompactDenoiser
from star.models.editors.real_esrgan.srvgg import SRVGGNetCompact
from star.models.restoration.options import RestoreOptions
from star.registry import MODELS
from tests.test_models.test_backbones.test_compact.test_denoiser import (
    SMALL,
    STAR,
)


def inflated():
    """A small image network and the model that starts from it."""
    torch.manual_seed(0)
    image = SRVGGNetCompact(4, 8, 2)
    model = MODELS.build(STAR)
    state = {k: v.clone() for k, v in image.state_dict().items()}
    start_from_image_network(model.backbone, model.autoencoder, state)
    return image, model


@pytest.mark.parametrize('steps', [1, 2])
def test_starts_as_the_image_network(steps):
    image, model = inflated()
    lq = torch.randint(70, 180, (3, 3, 24, 28), dtype=torch.uint8)
    options = RestoreOptions(
        scale=2,
        steps=steps,
        strength=0.01,
        guidance_scale=1,
        color_fix='none',
    )
    got = model.restore(lq, options).float()
    with torch.no_grad():
        expected = 255 * image(lq.float() / 255).clamp(0, 1)
    # at the borders an enlargement repeats pixels, a latent does not
    inner = (slice(None), slice(None), slice(12, -12), slice(12, -12))
    assert (got - expected)[inner].abs().max() < 2
    assert (expected[inner].std()) > 10


def test_bfloat16_is_off_by_less_than_a_grey_level():
    _, model = inflated()
    lq = torch.randint(256, (2, 3, 24, 28), dtype=torch.uint8)
    exact = model.restore(lq).float()
    model.backbone.to(torch.bfloat16)
    assert (model.restore(lq).float() - exact).abs().mean() < 1


@pytest.mark.parametrize('sizes', [(3, 8, 2), (4, 16, 2), (4, 8, 4)])
def test_other_image_networks_are_refused(sizes):
    net = CompactDenoiser(**SMALL)
    state = SRVGGNetCompact(*sizes).state_dict()
    with pytest.raises(ValueError, match='4 inner convolutions and scale 2'):
        start_from_image_network(net, PatchDCT(2), state)

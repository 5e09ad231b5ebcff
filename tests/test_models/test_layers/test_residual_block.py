import torch

from star.apis.inference.build import fill_random
from star.models.layers.residual_block import ResidualBlock


def test_is_that_of_diffusers_without_modulation():
    from diffusers.models.resnet import ResnetBlock2D  # after star, see compat

    own = ResidualBlock(32, 64, embedding=16)
    fill_random(own)
    theirs = ResnetBlock2D(
        in_channels=32, out_channels=64, temb_channels=16, eps=1e-5
    )
    theirs.load_state_dict(own.state_dict())
    x, embedding = torch.randn(2, 32, 5, 7), torch.randn(2, 16)
    torch.testing.assert_close(own(x, embedding), theirs(x, embedding))


def test_modulation_changes_the_branch_alone():
    block = ResidualBlock(32, 32, structure=8)
    fill_random(block)
    assert block.spade is not None
    block.spade.forward = lambda x, structure: torch.full_like(x, 0.25)
    x = torch.randn(1, 32, 5, 7)
    found = block(x, structure=torch.zeros(1, 8, 5, 7))
    torch.testing.assert_close(found, x + 0.25)

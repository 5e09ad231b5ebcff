import pytest
import torch

from tests.test_models.networks import (
    small_backbone,
    small_controlnet,
    small_inputs,
)


@torch.no_grad()
def test_new_controlnet_leaves_the_backbone_unchanged():
    backbone, controlnet = small_backbone(), small_controlnet(random=False)
    z_t, t, text, z_lq = small_inputs()
    control = controlnet(z_t, t, text, z_lq)
    assert not any(residual.any() for residual in control)
    v = backbone(z_t, t, text, control)
    torch.testing.assert_close(v, backbone(z_t, t, text), rtol=0, atol=0)


def test_new_controlnet_learns():
    backbone, controlnet = small_backbone(), small_controlnet(random=False)
    z_t, t, text, z_lq = small_inputs(1)
    v = backbone(z_t, t, text, controlnet(z_t, t, text, z_lq))
    v.square().mean().backward()
    assert all(conv.weight.grad.any() for conv in controlnet.zero_convs)
    assert controlnet.middle_out.weight.grad.any()


def test_checkpointing_gives_the_same_gradients_through_a_frozen_backbone():
    z_t, t, text, z_lq = small_inputs(1)
    gradients = []
    for checkpointing in (False, True):
        backbone = small_backbone(checkpointing=checkpointing)
        controlnet = small_controlnet(checkpointing=checkpointing)
        backbone.requires_grad_(False)
        for name, parameter in backbone.named_parameters():
            parameter.requires_grad_('.local' in name)
        v = backbone(z_t, t, text, controlnet(z_t, t, text, z_lq))
        v.square().mean().backward()
        trained = [*controlnet.parameters(), *backbone.parameters()]
        gradients.append([p.grad for p in trained if p.requires_grad])
    assert any(g.any() for g in gradients[0][-8:])  # of the backbone's LIEM
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-8)


@torch.no_grad()
def test_residual_for_every_input_block_and_the_middle():
    controlnet = small_controlnet()
    control = controlnet(*small_inputs())
    fine, coarse = (2, 3, 6, 8), (2, 3, 4, 4)
    assert [tuple(r.shape) for r in control] == [
        (*fine, 32),
        (*fine, 32),
        (*coarse, 32),
        (*coarse, 64),
        (*coarse, 64),
    ]


@torch.no_grad()
def test_control_does_not_change_the_list():
    backbone, controlnet = small_backbone(), small_controlnet()
    z_t, t, text, z_lq = small_inputs()
    control = controlnet(z_t, t, text, z_lq)
    first = backbone(z_t, t, text, control)
    torch.testing.assert_close(
        backbone(z_t, t, text, control), first, rtol=0, atol=0
    )


@torch.no_grad()
def test_batch_equals_separate_clips_and_projected_text():
    controlnet = small_controlnet()
    z_t, t, text, z_lq = small_inputs()
    both = controlnet(z_t, t, controlnet.project_text(text), z_lq)
    for i in range(2):
        one = controlnet(z_t[[i]], t[[i]], text[[i]], z_lq[[i]])
        for a, b in zip(both, one, strict=True):
            torch.testing.assert_close(a[i : i + 1], b, rtol=0, atol=1e-5)


@torch.no_grad()
def test_hint_matters():
    controlnet = small_controlnet()
    z_t, t, text, z_lq = small_inputs()
    a = controlnet(z_t, t, text, z_lq)
    b = controlnet(z_t, t, text, z_lq + 1)
    assert all((x - y).abs().max() > 1e-4 for x, y in zip(a, b, strict=True))


def test_wrong_size_names_the_rule():
    controlnet = small_controlnet(dim_mult=(1, 1, 1))
    z_t, t, text, z_lq = small_inputs(1, 1, 8, 8)
    with pytest.raises(ValueError, match=r'height.* 4 k \+ 2, got 8'):
        controlnet(z_t, t, text, z_lq)

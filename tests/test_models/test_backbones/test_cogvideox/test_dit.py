import pytest
import torch
from torch import nn

from star.models.backbones import CogVideoXDiT
from star.models.editors.star.objective import freeze
from star.models.layers.step_memory import StepMemory
from star.registry import MODELS
from tests.test_models.networks import randomize

SIZES = {
    'latent_dim': 4,
    'num_layers': 2,
    'num_heads': 2,
    'head_dim': 16,
    'time_dim': 12,
    'text_dim': 10,
}


def small_dit(random=True, **options):
    network = CogVideoXDiT(**{**SIZES, **options}).eval()
    return randomize(network, scale=0.2) if random else network


def small_inputs(n=2, t=3, h=6, w=8):
    """Noised latents, timesteps, text and low-quality latents."""
    generator = torch.Generator().manual_seed(3)
    z_t, z_lq = torch.randn(2, n, 4, t, h, w, generator=generator)
    text = torch.randn(n, 5, 10, generator=generator)
    return z_t, torch.arange(n) * 450 + 3, text, z_lq


def close(a, b, tolerance=1e-5):
    torch.testing.assert_close(a, b, rtol=0, atol=tolerance)


def plain_state(network):
    """Give the tensors that diffusers has too."""
    return {
        name.removeprefix('transformer.'): tensor
        for name, tensor in network.state_dict().items()
        if '.local' not in name
    }


@torch.no_grad()
@pytest.mark.parametrize('positions', ['rope', 'sincos'])
def test_without_liem_it_is_diffusers_network(positions):
    from diffusers import CogVideoXTransformer3DModel
    from diffusers.models.embeddings import get_3d_rotary_pos_embed

    ours = small_dit(liem=None, positions=positions)
    theirs = CogVideoXTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=16,
        in_channels=8,
        out_channels=4,
        time_embed_dim=12,
        text_embed_dim=10,
        num_layers=2,
        max_text_seq_length=5,
        use_rotary_positional_embeddings=positions == 'rope',
    ).eval()
    theirs.load_state_dict(plain_state(ours))
    theirs.norm_out.norm.eps = 1e-6
    z_t, t, text, z_lq = small_inputs()
    rope = get_3d_rotary_pos_embed(16, ((0, 0), (3, 4)), (3, 4), 3)
    expected = theirs(
        torch.cat([z_t, z_lq], 1).transpose(1, 2),
        text,
        t,
        image_rotary_emb=rope if positions == 'rope' else None,
        return_dict=False,
    )[0].transpose(1, 2)
    assert expected.std() > 0.1
    close(ours(z_t, t, text, z_lq), expected)


@pytest.mark.parametrize(
    'options, count',
    [
        # DiT without the table it does not use, and LIEM
        ({}, 5_570_676_288 - 64 * 3072 + 4_200),
        ({'lora': {'type': 'LoRA'}}, 5_570_483_880 + 528_482_304),
        # diffusers' defaults, wider by 16 channels of patches, and LIEM
        (
            {'num_layers': 30, 'num_heads': 30, 'positions': 'sincos'},
            1_693_783_872 + 16 * 4 * 1920 + 30 * 100,
        ),
    ],
)
def test_official_sizes(options, count):
    with torch.device('meta'):
        network = CogVideoXDiT(**options)
    assert sum(p.numel() for p in network.parameters()) == count


def test_2b_is_diffusers_default():
    from diffusers import CogVideoXTransformer3DModel

    with torch.device('meta'):
        theirs = CogVideoXTransformer3DModel()
    assert sum(p.numel() for p in theirs.parameters()) == 1_693_783_872


@torch.no_grad()
def test_batch_equals_separate_clips():
    network = small_dit()
    z_t, t, text, z_lq = small_inputs()
    both = network(z_t, t, text, z_lq)
    assert both.shape == z_t.shape
    for i in range(2):
        one = network(z_t[[i]], t[[i]], text[[i]], z_lq[[i]])
        close(both[i : i + 1], one)


@torch.no_grad()
def test_text_is_projected_once_and_serves_all_clips():
    network = small_dit()
    z_t, t, text, z_lq = small_inputs()
    projected = network.project_text(text[:1])
    expected = network(z_t, t, text[:1].repeat(2, 1, 1), z_lq)
    close(network(z_t, t, projected, z_lq), expected)
    close(network(z_t, t, text[:1], z_lq), expected)
    other = network(z_t, t, text[1:], z_lq)
    assert (other - expected).abs().max() > 1e-3


@torch.no_grad()
@pytest.mark.parametrize('positions', ['rope', 'sincos'])
def test_any_size_and_length(positions):
    network = small_dit(positions=positions)
    for size in ((1, 2, 2), (4, 10, 2), (2, 4, 12), (1, 2, 2)):
        z_t, t, text, z_lq = small_inputs(1, *size)
        assert network(z_t, t, text, z_lq).shape == z_t.shape
    z_t, t, text, z_lq = small_inputs(1, 3, 4, 4)
    v = network(z_t, t, text, z_lq)
    for axis in (2, 3, 4):  # tokens know where they are
        flipped = network(z_t.flip(axis), t, text, z_lq.flip(axis))
        patches = v.flip(axis) - flipped
        assert patches.abs().max() > 1e-3


@torch.no_grad()
def test_all_inputs_matter():
    network = small_dit()
    inputs = small_inputs()
    v = network(*inputs)
    for i in range(4):
        changed = list(inputs)
        changed[i] = changed[i] + 1
        assert (network(*changed) - v).abs().max() > 1e-3
    assert network.size_multiple == (2, 2)
    assert network.size_remainder == (0, 0)


@torch.no_grad()
def test_gates_are_those_of_liem_one_after_the_other():
    block = small_dit().transformer.transformer_blocks[0]
    nn.init.normal_(block.local1.conv.weight)
    nn.init.normal_(block.local2.conv.weight)
    x = torch.randn(2, 3, 4, 5, 8)
    expected = x * block.local1.local(x)
    expected = expected * block.local2.local(expected)
    found = block._gated('after_norm', x.flatten(1, 3), (3, 4, 5))
    close(found, expected.flatten(1, 3), 1e-6)


@torch.no_grad()
def test_liem_options_change_what_they_should():
    inputs = small_inputs()
    options = [
        None,
        {'type': 'LIEM'},
        {'type': 'LIEM', 'spatial': False},
        {'type': 'LIEM', 'temporal': False},
        {'type': 'LIEM', 'position': 'ii'},
        {'type': 'LIEM', 'position': 'iii'},
        {'type': 'LIEM', 'gate': 'before_norm'},
    ]
    full = small_dit().state_dict()
    outputs, counts = [], []
    for liem in options:
        network = small_dit(liem=liem)
        own = network.state_dict()
        network.load_state_dict({k: full[k] for k in own})
        outputs.append(network(*inputs))
        counts.append(sum('.local' in k for k in own))
    assert counts == [0, 4, 2, 2, 4, 4, 4]
    for i, a in enumerate(outputs):
        for b in outputs[:i]:
            assert (a - b).abs().max() > 1e-4
    close(outputs[1], small_dit()(*inputs), 0)


def gradients(network, inputs):
    network.zero_grad()
    network(*inputs).square().sum().backward()
    return {k: p.grad.clone() for k, p in network.named_parameters()}


def test_checkpointing_changes_no_gradient():
    inputs = small_inputs()
    plain = gradients(small_dit(), inputs)
    saved = gradients(small_dit(checkpointing=True), inputs)
    assert all(g.abs().max() > 0 for g in plain.values())
    for name, gradient in plain.items():
        close(saved[name], gradient, 1e-4)


def test_trains_after_a_restoration():
    """What inference mode has cached does for training."""
    network = small_dit()
    inputs = small_inputs(1, 2, 2, 6)
    with torch.inference_mode():
        network(*inputs)
    assert gradients(network, inputs)


@torch.no_grad()
def test_half_precision():
    network = small_dit()
    inputs = small_inputs()
    v = network(*inputs)
    with torch.autocast('cpu', torch.bfloat16):
        auto = network(*inputs)
    half = network.bfloat16()(*inputs)
    assert auto.dtype == half.dtype == torch.float32
    for other in (auto, half):
        assert (other - v).std() < 0.05 * v.std()


def test_fine_tuning_trains_what_the_official_does():
    model = nn.ModuleDict(
        {'backbone': small_dit(lora={'type': 'LoRA', 'rank': 2})}
    )
    kinds = ('LoRA', 'LIEM', 'PatchProjection', 'AdaLayerNorm')
    freeze(model, {'backbone': (*kinds, 'FinalProjection')})
    trained = {k for k, p in model.named_parameters() if p.requires_grad}
    expected = {
        name
        for name, _ in model.named_parameters()
        if any(
            part in name
            for part in (
                '.lora.',
                '.local',
                'patch_embed.proj.',
                'norm_out.',
                'proj_out.',
            )
        )
    }
    assert trained == expected
    assert len(trained) == 2 * (4 * 2 + 2) + 2 + 4 + 2


def test_wrong_inputs_are_named():
    network = small_dit()
    z_t, t, text, z_lq = small_inputs()
    wrong = [
        ((z_t[:, :3], t, text, z_lq), r'\(N, 4, T, H, W\), got \(2, 3'),
        ((z_t[..., :7], t, text, z_lq), 'even, got 6 and 7'),
        ((z_t, t, text, None), 'LatentConcat'),
        ((z_t, t, text, z_lq[:, :, :2]), r'\(2, 4, 3, 6, 8\)'),
    ]
    for inputs, message in wrong:
        with pytest.raises(ValueError, match=message):
            network(*inputs)


@pytest.mark.parametrize(
    'options, message',
    [
        ({'head_dim': 24}, 'head_dim'),
        ({'positions': 'learned'}, 'positions'),
        ({'liem': {'type': 'LIEM', 'position': 'iv'}}, 'position'),
        ({'lora': {'type': 'LoRA', 'rank': 0}}, 'rank'),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        small_dit(**options)


def test_registered():
    network = MODELS.build({'type': 'CogVideoXDiT', **SIZES})
    assert len(network.transformer.transformer_blocks) == 2


@torch.no_grad()
def test_blocks_after_the_first_are_taken_again():
    network, (z_t, t, text, z_lq) = small_dit(), small_inputs(1)
    added, heads = [], []
    for block in network.transformer.transformer_blocks:
        block.register_forward_hook(
            lambda module, inputs, out: added.append((inputs[0], out[0]))
        )
    network.transformer.norm_final.register_forward_pre_hook(
        lambda module, inputs: heads.append(inputs[0])
    )
    memory = StepMemory(0.5)
    memory.begin()
    first = network(z_t, t, text, z_lq, memory)
    (_, start), (_, end) = added
    assert torch.equal(first, network(z_t, t, text, z_lq))
    memory.begin()
    added.clear()
    network(z_t + 0.01, t + 1, text, z_lq, memory)
    ((_, now),) = added
    assert torch.equal(heads[-1], now + (end - start))
    memory.begin()
    added.clear()
    other = network(-z_t, t, text, z_lq, memory)
    assert len(added) == 2 and (memory.calls, memory.reused) == (3, 1)
    assert torch.equal(other, network(-z_t, t, text, z_lq))

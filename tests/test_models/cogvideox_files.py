"""Small checkpoints of CogVideoX in the official form and in diffusers'."""

import torch

PREFIX = 'model.diffusion_model.'
HIDDEN, HEAD, TIME, TEXT, LATENT, RANK = 32, 16, 12, 10, 4, 3
SIZES = {
    'latent_dim': LATENT,
    'num_layers': 2,
    'num_heads': HIDDEN // HEAD,
    'head_dim': HEAD,
    'time_dim': TIME,
    'text_dim': TEXT,
}


def linear(name, rows, columns):
    return {f'{name}.weight': (rows, columns), f'{name}.bias': (rows,)}


def norm(name, dim=None):
    dim = dim or HIDDEN
    return {f'{name}.weight': (dim,), f'{name}.bias': (dim,)}


def updated(name, parts):
    shapes = linear(f'{name}.original', parts * HIDDEN, HIDDEN)
    for i in range(parts):
        shapes[f'{name}.matrix_A.{i}'] = (RANK, HIDDEN)
        shapes[f'{name}.matrix_B.{i}'] = (HIDDEN, RANK)
    return shapes


def official_layer(n):
    layer, adaln = f'transformer.layers.{n}', 'mixins.adaln_layer'
    return {
        **linear(f'{adaln}.adaLN_modulations.{n}.1', 12 * HIDDEN, TIME),
        **norm(f'{adaln}.query_layernorm_list.{n}', HEAD),
        **norm(f'{adaln}.key_layernorm_list.{n}', HEAD),
        **norm(f'{layer}.input_layernorm'),
        **norm(f'{layer}.post_attention_layernorm'),
        **updated(f'{layer}.attention.query_key_value', 3),
        **updated(f'{layer}.attention.dense', 1),
        **linear(f'{layer}.mlp.dense_h_to_4h', 4 * HIDDEN, HIDDEN),
        **linear(f'{layer}.mlp.dense_4h_to_h', HIDDEN, 4 * HIDDEN),
        f'{layer}.spa_local.conv1.weight': (1, 2, 7, 7),
        f'{layer}.temp_local.conv1.weight': (1, 2),
    }


def official_shapes(num_layers=2):
    shapes = {
        'mixins.pos_embed.freqs_sin': (24, HEAD),
        'mixins.pos_embed.freqs_cos': (24, HEAD),
        'mixins.patch_embed.proj_sr.weight': (HIDDEN, 2 * LATENT, 2, 2),
        'mixins.patch_embed.proj_sr.bias': (HIDDEN,),
        **linear('mixins.patch_embed.text_proj', HIDDEN, TEXT),
        **norm('mixins.final_layer.norm_final'),
        **linear('mixins.final_layer.linear', 4 * LATENT, HIDDEN),
        **linear('mixins.final_layer.adaLN_modulation.1', 2 * HIDDEN, TIME),
        'transformer.position_embeddings.weight': (64, HIDDEN),
        **norm('transformer.final_layernorm'),
        **linear('time_embed.0', TIME, HIDDEN),
        **linear('time_embed.2', TIME, TIME),
    }
    for n in range(num_layers):
        shapes |= official_layer(n)
    return {PREFIX + name: shape for name, shape in shapes.items()}


def official_state(num_layers=2):
    """Make random tensors with official names, LoRA apart."""
    generator = torch.Generator().manual_seed(5)
    return {
        name: torch.randn(shape, generator=generator)
        for name, shape in official_shapes(num_layers).items()
    }


def base_network(latent=LATENT):
    """Make diffusers' transformer of the same size."""
    from diffusers import CogVideoXTransformer3DModel

    torch.manual_seed(0)
    return CogVideoXTransformer3DModel(
        num_attention_heads=HIDDEN // HEAD,
        attention_head_dim=HEAD,
        in_channels=latent,
        out_channels=LATENT,
        time_embed_dim=TIME,
        text_embed_dim=TEXT,
        num_layers=2,
        max_text_seq_length=5,
        use_rotary_positional_embeddings=True,
    ).eval()

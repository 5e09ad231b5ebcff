"""The authors' files of StableSR: loaded name by name, or refused."""

from functools import lru_cache
from pathlib import Path

import pytest
import torch
from torch import Tensor

from star.models.editors import StableSR
from star.models.editors.weight_files import FILES
from star.models.text_encoders.open_clip import OpenCLIPTextEncoder
from star.utils.weight_files import find_file
from tests.test_reference.vectors import official_weight, read_manifest

TEXT = {'width': 24, 'layers': 2, 'heads': 2}
TEXT |= {'context_length': 6, 'vocab_size': 10}


def small() -> StableSR:
    """Build the networks of the vectors on meta, with a text tower."""
    levels = {'layers': 2, 'attention_levels': (0, 1)}
    with torch.device('meta'):
        return StableSR(
            backbone=dict(
                channels=(32, 64, 64),
                head_dim=16,
                context=24,
                structure=32,
                **levels,
            ),
            structure_encoder=dict(
                channels=(32, 32, 64), heads=2, outputs=32, **levels
            ),
            autoencoder=dict(channels=(32, 64, 128, 128)),
            text_encoder=dict(type='OpenCLIPTextEncoder', **TEXT),
        )


def text_tower() -> dict[str, Tensor]:
    """Make the tensors of a small tower by their names in open_clip."""
    width, wide = TEXT['width'], 4 * TEXT['width']
    shapes = {
        'token_embedding.weight': (TEXT['vocab_size'], width),
        'positional_embedding': (TEXT['context_length'], width),
        'text_projection': (width, width),
        'ln_final.weight': (width,),
        'ln_final.bias': (width,),
        'logit_scale': (),
    }
    block = {
        'ln_1.weight': (width,),
        'ln_1.bias': (width,),
        'attn.in_proj_weight': (3 * width, width),
        'attn.in_proj_bias': (3 * width,),
        'attn.out_proj.weight': (width, width),
        'attn.out_proj.bias': (width,),
        'ln_2.weight': (width,),
        'ln_2.bias': (width,),
        'mlp.c_fc.weight': (wide, width),
        'mlp.c_fc.bias': (wide,),
        'mlp.c_proj.weight': (width, wide),
        'mlp.c_proj.bias': (width,),
    }
    for i in range(TEXT['layers']):
        for name, shape in block.items():
            shapes[f'transformer.resblocks.{i}.{name}'] = shape
    return {
        name: official_weight(name, torch.Size(shape), 0)
        for name, shape in shapes.items()
    }


def tensors(manifest: str, seed: int) -> dict[str, Tensor]:
    return {
        row['name']: official_weight(
            row['name'], torch.Size(map(int, row['shape'].split('x'))), seed
        )
        for row in read_manifest(f'stablesr/{manifest}.tsv')
    }


def prefixed(start: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f'{start}.{name}': tensor for name, tensor in state.items()}


@lru_cache
def official() -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Make what the authors' two files hold, in small."""
    cfw = tensors('manifest_cfw_tiny', 0)
    first = tensors('manifest_cfw_tiny', 1)
    first = {k: v for k, v in first.items() if 'fusion_layer' not in k}
    unet = tensors('manifest_unet_tiny', 0)
    main = {
        'betas': torch.zeros(1000),
        **prefixed('model.diffusion_model', unet),
        **prefixed(
            'structcond_stage_model', tensors('manifest_structcond_tiny', 0)
        ),
        **prefixed('first_stage_model', first),
        **prefixed('cond_stage_model.model', text_tower()),
    }
    return main, {**cfw, 'loss.logvar': torch.zeros(())}


def hollow(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Keep names and shapes alone, so that a file is small."""
    return {k: torch.zeros(()).expand(v.shape) for k, v in state.items()}


def save(folder: Path, main: dict, cfw: dict) -> tuple[Path, Path]:
    paths = folder / 'main.ckpt', folder / 'cfw.ckpt'
    for path, state in zip(paths, (main, cfw), strict=True):
        torch.save({'state_dict': state, 'global_step': 3}, path)
    return paths


def test_loads_files_of_the_published_form(tmp_path: Path):
    main, cfw = official()
    model = small()
    model.load_weights(*save(tmp_path, main, cfw))
    assert model.loaded
    own = model.state_dict()
    used = {
        name
        for name in main
        if not name.startswith(
            (
                'betas',
                'first_stage_model.decoder',
                'first_stage_model.post_quant',
                'cond_stage_model.model.transformer.resblocks.1',
                'cond_stage_model.model.logit',
                'cond_stage_model.model.text_proj',
            )
        )
    }
    split = sum('in_proj' in name for name in used)  # one becomes three
    assert len(own) == len(used) + 2 * split + len(cfw) - 1
    for mine, theirs in (
        (
            'backbone.unet.up_blocks.1.resnets.2.spade.mlp_beta.bias',
            'model.diffusion_model.output_blocks.5.0.spade.mlp_beta.bias',
        ),
        (
            'structure_encoder.fea_tran.1.conv2.weight',
            'structcond_stage_model.fea_tran.1.out_layers.3.weight',
        ),
        (
            'first_stage.encoder.down_blocks.0.resnets.1.conv1.bias',
            'first_stage_model.encoder.down.0.block.1.conv1.bias',
        ),
    ):
        assert torch.equal(own[mine], main[theirs])
    mine = 'autoencoder.encoder.down_blocks.0.resnets.1.conv1.bias'
    assert torch.equal(own[mine], cfw['encoder.down.0.block.1.conv1.bias'])
    assert isinstance(model.text_encoder, OpenCLIPTextEncoder)
    tokens = model.text_encoder.tokenize([''])
    assert tokens.tolist() == [[8, 9, 0, 0, 0, 0]]


def without(state: dict[str, Tensor], start: str) -> dict[str, Tensor]:
    return {k: v for k, v in state.items() if not k.startswith(start)}


@pytest.mark.parametrize(
    ('part', 'message'),
    [
        (
            'model.diffusion_model.input_blocks.1.0.spade.mlp_gamma.bias',
            r'main.ckpt does not fit SpadeUNet: 1 missing '
            r'\(unet.down_blocks.0.resnets.0.spade.mlp_gamma.bias\)',
        ),
        (
            'structcond_stage_model.',
            "main.ckpt holds no tensors .* 'structcond_stage_model.'",
        ),
        (
            'cond_stage_model.',
            "main.ckpt holds no tensors .* 'cond_stage_model.model.'",
        ),
        ('first_stage_model.', "no tensors .* 'first_stage_model.'"),
        (
            'decoder.fusion_layer_1.encode_enc_3.conv2.bias',
            'cfw.ckpt does not fit CFWAutoencoder: 1 missing',
        ),
    ],
)
def test_a_file_without_a_part_is_refused_with_its_name(
    part: str, message: str, tmp_path: Path
):
    main, cfw = (hollow(without(state, part)) for state in official())
    with pytest.raises(ValueError, match=message):
        small().load_weights(*save(tmp_path, main, cfw))


def test_swapped_and_foreign_files_are_refused(tmp_path: Path):
    main, cfw = map(hollow, official())
    paths = save(tmp_path, main, cfw)
    with pytest.raises(ValueError, match=r"holds no tensors .* 'model\."):
        small().load_weights(*reversed(paths))
    more = {
        **main,
        'model.diffusion_model.input_blocks.3.7.x': cfw['loss.logvar'],
    }
    with pytest.raises(ValueError, match='1 unknown'):
        small().load_weights(*save(tmp_path, more, cfw))
    with pytest.raises(ValueError, match='takes two files, stablesr_000117'):
        small().load_weights(paths[0])


@pytest.mark.parametrize(
    'name', ['stablesr_000117.ckpt', 'vqgan_cfw_00011.ckpt']
)
def test_a_missing_file_is_named_with_its_source(name: str, tmp_path: Path):
    with pytest.raises(ValueError, match=f'{name} is not in .*get it from '):
        find_file([FILES[name]], tmp_path)

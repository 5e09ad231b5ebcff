"""Start the small model from a compact Real-ESRGAN network.

    python projects/small_models/tools/convert_realesrgan.py \\
        realesr-general-x4v3.pth DST.safetensors

DST holds a whole STARModel that restores as the image network does, frame by
frame: what `projects/small_models/configs/tiny_compact_sampler.py` trains on from. The weights
are under BSD-3-Clause (github.com/xinntao/Real-ESRGAN), and so is what is
trained from them.
"""

import argparse
import sys
from pathlib import Path

import torch
from torch import Tensor

import star.models  # noqa: F401 (registers)
from projects.small_models.compact_init import start_from_image_network
from star.apis.inference.build import load_config
from star.models.autoencoders.patch_dct import PatchDCT
from star.models.backbones import CompactDenoiser
from star.models.editors import RealESRGANCompact
from star.registry import MODELS
from star.utils.tensor_files import (
    check_target,
    held,
    write_safetensors,
)

CONFIG = 'tiny_compact'


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('src', type=Path, help='.pth or .safetensors')
    parser.add_argument('dst', type=Path, help='.safetensors to write')
    parser.add_argument(
        '--config', default=CONFIG, help='of a STARModel; default: %(default)s'
    )
    parser.add_argument('--overwrite', action='store_true')
    return parser.parse_args(arguments)


def convert(src: Path, config: str) -> dict[str, Tensor]:
    """Compute the weights of the whole model.

    Raises:
        ValueError: SRC or the config is another network's.
    """
    model = MODELS.build(load_config(config).model)
    backbone, autoencoder = model.backbone, model.autoencoder
    fits = isinstance(backbone, CompactDenoiser)
    if not fits or not isinstance(autoencoder, PatchDCT):
        raise ValueError(
            f'{config}: needs a CompactDenoiser and a PatchDCT, got '
            f'{type(backbone).__name__} and {type(autoencoder).__name__}'
        )
    image = RealESRGANCompact(
        num_conv=backbone.num_conv, scale=autoencoder.downsample
    )
    image.load_weights(src)
    start_from_image_network(backbone, autoencoder, image.network.state_dict())
    return model.state_dict()


def main(arguments: list[str] | None = None) -> int:
    args = parse_args(arguments)
    try:
        check_target(args.src, args.dst, args.overwrite)
        state = convert(args.src, args.config)
        tensors = {name: held(tensor) for name, tensor in state.items()}
        write_safetensors(args.dst, tensors, torch.float32)
    except (ValueError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    print(f'{args.dst}: {len(state)} tensors')
    return 0


if __name__ == '__main__':
    sys.exit(main())

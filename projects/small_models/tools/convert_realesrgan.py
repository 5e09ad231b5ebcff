"""Start the small model from a compact Real-ESRGAN network.

    python -m projects.small_models.tools.convert_realesrgan \\
        realesr-general-x4v3.pth DST.safetensors

DST holds a whole STARModel that restores as the image network does, frame by
frame: `projects/small_models/configs/tiny_compact_sampler.py` trains it. The
weights are under BSD-3-Clause (github.com/xinntao/Real-ESRGAN), and so is
what is trained from them.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from projects.small_models.compact_init import start_from_image_network
from star.apis.inference.build import DEFAULT_CONFIG, load_config
from star.cli.common import DONE, Parser, execute
from star.models.autoencoders.patch_dct import PatchDCT
from star.models.backbones import CompactDenoiser
from star.models.editors import RealESRGANCompact
from star.registry import MODELS
from star.utils.tensor_files import check_target, save_tensors


def parse_args(words: Sequence[str] | None = None) -> argparse.Namespace:
    parser = Parser('convert_realesrgan', __doc__)
    add = parser.add_argument
    add('src', type=Path, help='.pth or .safetensors')
    add('dst', type=Path, help='.safetensors to write')
    add('--config', default=DEFAULT_CONFIG, help='default: %(default)s')
    add('--overwrite', action='store_true')
    return parser.parse(words)


def main(words: Sequence[str] | None = None) -> int:
    return execute(write, parse_args(words))


def write(args: argparse.Namespace) -> int:
    """Write the weights of the whole model."""
    check_target(args.src, args.dst, args.overwrite)
    state = convert(args.src, args.config)
    save_tensors(state, args.dst)
    print(f'{args.dst}: {len(state)} tensors')
    return DONE


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


if __name__ == '__main__':
    sys.exit(main())

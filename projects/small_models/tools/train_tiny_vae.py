"""Train the tiny autoencoder that a tiny decoder is distilled from.

    python -m projects.small_models.tools.train_tiny_vae \
        tiny_decoder_distillation tiny_vae.safetensors

The clips are those of the config's training data, the autoencoder is that of
its model. It learns to give back the ground truth: mean absolute difference,
with a weak pull of the latents towards zero. The clips are read once.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from torch import Tensor, nn

import star.datasets
import star.models  # noqa: F401
from star.apis.inference.build import load_config
from star.apis.train.changes import apply_changes
from star.apis.train.option_text import read_changes
from star.cli.common import DONE, Parser, execute, number
from star.models.data_preprocessor import to_float
from star.registry import DATASETS, MODELS
from star.utils.tensor_files import save_tensors

PULL = 1e-3  # factor of the latents' mean square


def parse_args(words: Sequence[str] | None = None) -> argparse.Namespace:
    parser = Parser('train_tiny_vae', __doc__)
    add = parser.add_argument
    add('config', help='file or name of a config of DecoderDistillation')
    add('dst', type=Path, help='file for the weights (.safetensors)')
    add('--iterations', type=number(int, 1), default=400)
    add('--clips', type=number(int, 1), default=48, help='to learn from')
    add('--batch-size', type=number(int, 1), default=2)
    add('--lr', type=number(float, 0), default=1e-3)
    add('--seed', type=number(int, 0), default=0)
    add('--cfg-options', nargs='+', metavar='KEY=VALUE')
    return parser.parse(words)


def main(words: Sequence[str] | None = None) -> int:
    return execute(run, parse_args(words))


def run(args: argparse.Namespace) -> int:
    settings = load_config(args.config)
    apply_changes(settings, read_changes(args.cfg_options))
    torch.manual_seed(args.seed)
    vae: Any = MODELS.build(settings.model.autoencoder).train()
    optimizer = torch.optim.Adam(vae.parameters(), args.lr)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, args.lr, args.iterations
    )
    clips = read_clips(settings, args.clips)
    for step in range(1, args.iterations + 1):
        batch = clips[torch.randint(len(clips), (args.batch_size,))]
        loss, error = compare(vae, batch)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 20 == 0:
            psnr = -10 * error.div(4).log10()
            print(f'{step}: loss {loss:.4f}, PSNR {psnr:.2f}', flush=True)
    save_tensors(vae.vae.state_dict(), args.dst)
    return DONE


def read_clips(settings: Config, count: int) -> Tensor:
    """Read clips of ground truth, (count, 3, T, H, W) in [-1, 1]."""
    dataset = DATASETS.build(settings.train_dataloader.dataset)
    samples = [dataset[item]['data_samples'] for item in range(count)]
    clips = torch.stack([to_float(sample.gt) for sample in samples])
    return clips.transpose(1, 2)


def compare(vae: Any, clip: Tensor) -> tuple[Tensor, Tensor]:
    """Return the loss of an autoencoder, and the mean squared error."""
    z = vae.encode(clip)
    error = vae.decode(z) - clip
    loss = error.abs().mean() + PULL * z.square().mean()
    return loss, error.detach().square().mean()


if __name__ == '__main__':
    sys.exit(main())

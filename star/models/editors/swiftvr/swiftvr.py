"""SwiftVR, arXiv 2606.09516: one step of a video transformer, streamed."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from star.models.contracts import Events
from star.models.data_preprocessor import check_frame
from star.models.editors.base import FrameWindow, Restored
from star.models.editors.parts_baseline import PartsBaseline
from star.models.editors.recipe import Recipe
from star.models.editors.swiftvr.chunks import Chunking
from star.models.editors.swiftvr.clip_run import TOKEN, ClipRun
from star.models.editors.swiftvr.latent_stream import Networks
from star.models.editors.swiftvr.reae import GROUP
from star.models.editors.swiftvr.window_attention import (
    TokenGrid,
    use_windows,
)
from star.models.restoration.options import RestoreOptions
from star.models.restoration.resuming import Piece, ResumePoint
from star.registry import MODELS
from star.utils.tensor_files import read_state
from star.video.tiling import check_tile

WEIGHTS = (
    'swiftvr_transformer.safetensors',
    'swiftvr_reae.safetensors',
    'swiftvr_prompt_embedding.safetensors',
)
# Wan 2.2's transformer of text and image to video, with 5 billion parameters
TRANSFORMER = {
    'patch_size': (1, 2, 2),
    'num_attention_heads': 24,
    'attention_head_dim': 128,
    'in_channels': 48,
    'out_channels': 48,
    'text_dim': 4096,
    'freq_dim': 256,
    'ffn_dim': 14336,
    'num_layers': 30,
    'cross_attn_norm': True,
    'eps': 1e-6,
    'rope_max_seq_len': 1024,
}
_PROMPT = 'prompt_emb'  # its name in the authors' file


class PromptEmbedding(nn.Module):
    """The embedding of the one prompt, which comes as a file.

    Args:
        tokens: of the prompt.
        dim: of a token.
    """

    def __init__(self, tokens: int, dim: int) -> None:
        super().__init__()
        self.embedding = nn.Parameter(torch.randn(tokens, dim))


@MODELS.register_module()
class SwiftVR(PartsBaseline):
    """Restores clips in one step, chunk by chunk, at any scale.

    Frames are enlarged, encoded as they come, restored by a transformer that
    sees a chunk of frames within windows of 512 pixels, and decoded as they
    come. Nothing is random. The memory of the coders goes on from chunk to
    chunk. A clip's last chunk is filled from the front with latents of the
    chunk before, or with zeros.

    Every frame and every pixel is kept: clips are prolonged to 4 k + 1
    frames, and frames padded with their last row and column. With `compat`
    'official' padding is black and pixels are truncated, as in the authors'
    script, which drops up to three frames and seven rows or columns instead;
    on clips of 4 k + 1 frames whose sides are multiples of 8 it gives the
    same.

    Args:
        transformer: sizes that differ from `TRANSFORMER`.
        autoencoder: config of the coders; None for the released sizes.
        weights: files of transformer, coders and prompt.
        window_size: rows and columns of the attention's windows, in tokens
            of 32 pixels.
        clip_len: frames of a chunk, a multiple of 4.
        context: latents of the chunk before that a chunk in the middle of a
            clip sees as well (`dit_overlap`).
        prompt_tokens: of the prompt.
        restore_options: as for `PartsBaseline`.

    Raises:
        ValueError: a value is out of range.
    """

    parts: tuple[str, ...] = ('transformer', 'autoencoder', 'prompt')
    float32_parts = ()

    def __init__(
        self,
        transformer: Mapping[str, Any] | None = None,
        autoencoder: Mapping[str, object] | None = None,
        weights: Sequence[str | None] = WEIGHTS,
        window_size: tuple[int, int] = (16, 16),
        clip_len: int = 24,
        context: int = 0,
        prompt_tokens: int = 512,
        restore_options: Mapping[str, Any] | None = None,
    ) -> None:
        if min(window_size) < 1:
            raise ValueError(
                f'`window_size` must be at least 1, got {window_size}'
            )
        chunking = Chunking(clip_len, context)
        recipe = Recipe(
            window=clip_len,
            licence='Apache-2.0',
            source='arXiv 2606.09516, github.com/H-oliday/SwiftVR',
        )
        own = {'color_fix': 'none', **(restore_options or {})}
        super().__init__(recipe, weights, own)
        self.any_scale = True
        self.chunking = chunking
        self.window_size = tuple(window_size)
        from diffusers import WanTransformer3DModel  # takes a second

        sizes: dict[str, Any] = {**TRANSFORMER, **(transformer or {})}
        self.grid = TokenGrid()
        self.transformer = WanTransformer3DModel(**sizes)
        use_windows(self.transformer, self.grid, window_size)
        self.autoencoder = MODELS.build(
            {'type': 'ReAE', **(autoencoder or {})}
        )
        self.prompt = PromptEmbedding(prompt_tokens, sizes['text_dim'])
        self.requires_grad_(False)

    @property
    def options_used(self) -> frozenset[str]:
        """Names of the options that matter to it."""
        sizes = {'scale', 'tile', 'tile_overlap'}
        return frozenset(sizes | {'compat', 'color_fix', 'fidelity'})

    def segment_of(self, options: RestoreOptions) -> tuple[int, int]:
        """Return the frames of the first chunk; chunks share none."""
        return self.chunking.length + GROUP, 0

    def check_options(self, options: RestoreOptions) -> None:
        """Refuse options that this method cannot restore with."""
        super().check_options(options)
        least = options.tile_overlap + TOKEN
        why = f'SwiftVR with `tile_overlap` {options.tile_overlap}'
        check_tile(options.tile, least, why)

    def describe_options(self, options: RestoreOptions) -> dict[str, Any]:
        """Return recipe, chunks and options, to be written as JSON."""
        return {
            **super().describe_options(options),
            'clip_len': self.chunking.length,
            'context': self.chunking.context,
            'window_size': list(self.window_size),
        }

    def read_parts(
        self, paths: Sequence[Path]
    ) -> Mapping[str, tuple[Path, Mapping[str, Tensor]]]:
        """Read the authors' three files.

        Raises:
            ValueError: a file cannot be read, or one is not given.
        """
        if len(paths) != len(WEIGHTS):
            raise ValueError(
                f'SwiftVR takes three files, {", ".join(WEIGHTS)}, got '
                f'{len(paths)}'
            )
        states = [dict(read_state(path)) for path in paths]
        states[2] = _read_prompt(paths[2], states[2])
        return {
            name: (path, state)
            for name, path, state in zip(
                self.parts, paths, states, strict=True
            )
        }

    def restore_windows(
        self,
        windows: Iterator[FrameWindow],
        options: RestoreOptions,
        memory: dict[int, Any],
        events: Events,
    ) -> Iterator[Restored]:
        """Restore windows as clips of their own; see `Baseline`."""
        for clip, last, _ in windows:
            run = ClipRun(self.networks(), clip[0], options, self.chunking)
            pieces = run.pieces(iter(clip), events, None)
            yield torch.cat([piece.frames for piece in pieces]), last

    def networks(self) -> Networks:
        """Return the networks, to run them on latents."""
        return Networks(
            self.transformer,
            self.grid,
            self.autoencoder,
            self.prompt.embedding,
        )

    @torch.inference_mode()
    def _pieces(
        self,
        frames: Iterator[Tensor],
        options: RestoreOptions,
        events: Events,
        point: ResumePoint | None,
    ) -> Iterator[Piece]:
        self.check_loaded()
        first = next(frames, None)
        if first is None:
            return
        check_frame(first)
        run = ClipRun(self.networks(), first, options, self.chunking)
        yield from run.pieces(chain([first], frames), events, point)


def _read_prompt(path: Path, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Take the embedding of the authors' file, which has one or more."""
    if _PROMPT not in state or state[_PROMPT].ndim not in (2, 3):
        raise ValueError(
            f'`weights`: {path} has no embedding {_PROMPT!r} of a prompt'
        )
    found = state[_PROMPT]
    return {'embedding': found[0] if found.ndim == 3 else found}

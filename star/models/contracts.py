"""Protocols of the parts that a method is made of.

Tensors are (N, C, T, H, W): clips, or latents in lower case. A part from
outside needs what its Protocol names and nothing else; `star.testing` has a
check for each.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from star.diffusion.schedule import Level, LevelTable
from star.models.layers.areas import Surroundings
from star.models.layers.bands import BandStage
from star.models.restoration.limits import Limits
from star.models.restoration.options import RestoreOptions
from star.models.restoration.resuming import Piece, ResumePoint
from star.video.tiling import TileSize

Generators = torch.Generator | list[torch.Generator] | None
Text = Any  # embeddings (N, L, D), or the result of `project_text`
Control = Any  # known to a ControlNet and its backbone alone


class Autoencoder(Protocol):
    """Turns clips into latents and back; an `nn.Module`.

    Clips are RGB in [-1, 1]; latents are scaled to a standard deviation of
    about 1. T frames are (T - 1) / `temporal_downsample` + 1 latents.

    Attributes:
        downsample: pixels of a latent's side.
        temporal_downsample: frames of a latent; if it is r > 1, the first
            latent stands for one frame and a clip has k r + 1 frames.
        latent_channels: channels of a latent.
    """

    downsample: int
    temporal_downsample: int
    latent_channels: int

    def encode(
        self, x: Tensor, generator: Generators = None, tile: TileSize = 0
    ) -> Tensor:
        """Encode a clip (N, 3, T, H, W), on any device.

        Args:
            x: clip; H and W are multiples of `downsample`.
            generator: of all random numbers, one or one for each clip.
            tile: side, or height and width, of tiles in pixels; 0 for none.

        Returns:
            Latents (N, latent_channels, t, h, w) on the device of `x`.
        """

    def decode(self, z: Tensor, tile: TileSize = 0) -> Tensor:
        """Decode latents to a clip, not clamped, on the device of `z`."""

    def decode_pieces(self, z: Tensor, tile: TileSize = 0) -> Iterator[Tensor]:
        """Decode latents to consecutive pieces of the clip `decode` gives.

        Yields:
            (N, 3, t, H, W) with t >= 1, on the device of the network.
        """


class TextEncoder(Protocol):
    """Turns prompts into embeddings; an `nn.Module`."""

    def __call__(self, prompts: list[str]) -> Tensor:
        """Encode N prompts, each may be empty: (N, L, D) float32."""

    def count_overflow(self, prompt: str) -> int:
        """Count the tokens of a prompt that are cut off."""


class ControlNet(Protocol):
    """Turns the low-quality latents into the control of a backbone."""

    def __call__(
        self, z_t: Tensor, t: Tensor, text: Text, z_lq: Tensor
    ) -> Control:
        """Compute the control.

        Args:
            z_t: noised latents, (N, C, T, h, w).
            t: timesteps, (N,) int64.
            text: embeddings (N, L, D) or the result of `project_text`.
            z_lq: low-quality latents, of the shape of `z_t`.
        """

    def project_text(self, text: Tensor) -> Text:
        """Compute once per clip what depends on the text (N, L, D) alone."""


class Backbone(Protocol):
    """Predicts the velocity of noised latents; an `nn.Module`.

    Attributes:
        limits: what it was trained for; `Limits()` for everything.
    """

    limits: Limits

    @property
    def size_multiple(self) -> tuple[int, int]:
        """Latent height and width are multiples of these two numbers ..."""

    @property
    def size_remainder(self) -> tuple[int, int]:
        """... plus these two; (0, 0) for none.

        No side is smaller than its multiple. A ControlNet that is stricter
        than its backbone may have both attributes too.
        """

    def __call__(
        self, z_t: Tensor, t: Tensor, text: Text, control: Control
    ) -> Tensor:
        """Predict alpha noise - sigma x0, of the shape of `z_t`.

        Args:
            z_t: noised latents, (N, C, T, h, w).
            t: timesteps, (N,) int64.
            text: embeddings (N, L, D) or the result of `project_text`; a
                text of one clip serves all N.
            control: the result of the ControlNet.
        """

    def project_text(self, text: Tensor) -> Text:
        """Compute once per clip what depends on the text (N, L, D) alone."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """Iterate over the weights, at least one."""


class LocalBackbone(Backbone, Protocol):
    """A backbone that sees only a few pixels and frames around each.

    Without text, and with the low-quality latents as its control.

    Attributes:
        dim: channels of its features.
        enter_context: pixels around an area that `enter` needs.
        leave_context: pixels around an area that `leave` needs.
    """

    dim: int
    enter_context: int
    leave_context: int

    @property
    def stages(self) -> list[BandStage]:
        """Return the stages between `enter` and `leave`, in order."""

    def enter(
        self, z_t: Tensor, lq: Tensor, t: Tensor, place: Surroundings
    ) -> Tensor:
        """Compute the first features of an area of float32 frames."""

    def leave(self, x: Tensor, lq: Tensor, place: Surroundings) -> Tensor:
        """Make what the backbone predicts of an area's last features.

        In float32, whatever the dtype of the features.
        """


class PatchAutoencoder(Autoencoder, Protocol):
    """An autoencoder whose latents stand for patches, each by itself.

    Patches are (n, 3 p p, h, w): red, green and blue pixels, row by row.
    """

    def encode_patches(self, x: Tensor) -> Tensor:
        """Encode patches in [-1, 1] to latents of their shape."""

    def decode_patches(self, z: Tensor) -> Tensor:
        """Decode latents to patches."""


class NoiseSchedule(Protocol):
    """Variance-preserving levels: x_t = alpha x0 + sigma noise.

    Attributes:
        alpha: (num_timesteps,) float32, decreasing.
        sigma: (num_timesteps,) float32, increasing.
        num_timesteps: of training.
        start_timestep: where a restoration of `strength` 1 begins.
    """

    alpha: Tensor
    sigma: Tensor
    num_timesteps: int
    start_timestep: int

    def at(self, t: float) -> Level:
        """Look up (alpha, sigma) at a timestep."""

    def for_timesteps(
        self, timesteps: Sequence[float]
    ) -> tuple[list[Level], LevelTable]:
        """Look up the levels of a sampler and those of its denoiser."""

    def add_noise(self, x0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """Noise clean samples (N, ...) to the timesteps (N,)."""

    def velocity(self, x0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """Compute the velocity alpha noise - sigma x0."""

    def to_x0(self, x_t: Tensor, v: Tensor, t: Tensor) -> Tensor:
        """Recover the clean samples alpha x_t - sigma v."""

    def list_timesteps(
        self, mode: str, steps: int, strength: float
    ) -> list[float]:
        """List the decreasing timesteps of a restoration."""


class Events(Protocol):
    """Receives what happens during a restoration."""

    def progress(self, stage: str, done: int, total: int | None) -> None:
        """Receive how far a stage is.

        Args:
            stage: 'encode', 'denoise' or 'decode'; 'read' while the frames
                of a file are counted. Before its first frame a restoration
                reports 'decode', with the frames of an earlier run.
            done: frames of the clip that have passed it.
            total: frames of the clip, an estimate for 'read'; None if
                unknown.
        """

    def note(self, text: str) -> None:
        """Receive a sentence that the user should read."""


class Restorer(Protocol):
    """Turns low-quality clips into restored ones: STARModel, a `Baseline`.

    Attributes:
        restore_options: the options that the config sets.
        default_dtype: dtype of the networks unless the user chooses one;
            None for bfloat16 on CUDA and float32 elsewhere.
        bfloat16_on_cpu: whether, with None, a CPU that has instructions for
            bfloat16 uses them, too; for large networks it does anyway.
        takes_16_bit: whether frames may be uint16, with 65535 as white, as
            well as uint8; without it frames are rounded to uint8 first.
        names_files: whether its arguments name its files of weights, which
            `weight_files` lists; if not, the config's `weights` names them.
    """

    restore_options: RestoreOptions
    default_dtype: torch.dtype | None
    bfloat16_on_cpu: bool
    takes_16_bit: bool
    names_files: bool

    @property
    def options_used(self) -> frozenset[str]:
        """Names of the options that matter to it; others are refused."""

    @property
    def weight_files(self) -> tuple[str | None, ...]:
        """Files for `load_weights`: paths, names of published files, or None
        for one that the user must name.
        """

    def restore(
        self,
        lq: Tensor,
        options: RestoreOptions | None = None,
        events: Events | None = None,
    ) -> Tensor:
        """Restore a clip (T, 3, h, w) RGB: (T, 3, H, W) on the CPU.

        The result has the type of the clip: uint8, or uint16.
        """

    def restore_stream(
        self,
        frames: Iterable[Tensor],
        options: RestoreOptions | None = None,
        events: Events | None = None,
    ) -> Iterator[Tensor]:
        """Restore frames (3, h, w) RGB as they come.

        Yields:
            Consecutive pieces of the restored clip, (t, 3, H, W) on the CPU:
            as many frames as came in, of their type.
        """

    def restore_pieces(
        self,
        frames: Iterable[Tensor],
        options: RestoreOptions | None = None,
        events: Events | None = None,
        point: ResumePoint | None = None,
    ) -> Iterator[Piece]:
        """Restore frames as `restore_stream`, so that it can be taken up.

        Args:
            frames: (3, h, w); from `point.frame` on if `point` is given.
            options: None for `restore_options`.
            events: receives progress and notes.
            point: of an earlier run over the same frames.

        Yields:
            Pieces; after one with a point, a later run with that point gives
            the same frames.
        """

    def check_options(self, options: RestoreOptions) -> None:
        """Raise a ValueError for options that it cannot restore with."""

    def overlap_for(self, window: int) -> int:
        """Choose the overlap of windows of `window` frames."""

    def describe_options(self, options: RestoreOptions) -> Mapping[str, Any]:
        """Return what decides the results, to be written as JSON."""

    def load_weights(self, *paths: str | Path) -> None:
        """Load the files of `weight_files`, in this order."""

    def place(self, device: torch.device, dtype: torch.dtype) -> None:
        """Move to a device; the networks' weights take the dtype."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """Iterate over the weights; there may be none."""

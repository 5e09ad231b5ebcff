"""The objects that travel between the parts: a clip's sample, the options."""

from dataclasses import dataclass, field

from torch import Tensor


@dataclass
class VideoSample:
    """What is known of one clip besides the network's input.

    Args:
        gt: ground truth, (T, C, H, W) uint8 RGB, or None.
        pred: restored clip, (T, C, H, W) uint8 RGB, set by the model.
        prompt: caption; empty for none.
        name: clip's name, unique within its data set.
        dataset: data set's name.
        fps: frames per second, or None where unknown.
        record: draws of the degradation that made the input; replays it.
        seed: of the draws that training makes for this clip, so that they
            depend neither on the batch nor on the rank; None for the global
            random state.
        z0: latent of the ground truth, (C, T, h, w), if it was cached.
        z_lq: latent of the enlarged low-quality clip, likewise.
        text: embedding of the prompt, (L, D), likewise.
        files: where the clip was read from, by 'lq' and 'gt'.
        seconds: that restoring took, reading and scoring not counted; None
            where it was not measured.
        peak_memory: most bytes in use while restoring, of the device that
            restored, or of the process on a CPU; None likewise.
        problem: why the clip could not be read or restored; None where it
            could, or where a failure ends the run.
    """

    gt: Tensor | None = None
    pred: Tensor | None = None
    prompt: str = ''
    name: str = ''
    dataset: str = ''
    fps: float | None = None
    record: dict | None = None
    seed: int | None = None
    z0: Tensor | None = None
    z_lq: Tensor | None = None
    text: Tensor | None = None
    files: dict[str, str] = field(default_factory=dict)
    seconds: float | None = None
    peak_memory: int | None = None
    problem: str | None = None


@dataclass(frozen=True)
class RestoreOptions:
    """How a low-quality clip is restored; a model's config sets its defaults.

    Args:
        scale: output size over input size, a positive number.
        mode: timesteps of the sampler, 'fast' (the official 14 evaluations,
            `steps` unused) or 'normal' (`steps` evaluations).
        steps: sampler evaluations in mode 'normal', >= 1.
        sampler: 'dpmpp_2m_sde', 'ddim', 'heun' or 'cogvideox_dpmpp_2m'.
        guidance_scale: classifier-free guidance; 1 switches it off, 0 where
            it changes from step to step.
        guidance_exponent: makes guidance change from step to step, up to 1 +
            `guidance_scale`, as CogVideoX has it with 5; 0 for the same
            guidance at every step.
        guidance_rescale: share of the standard-deviation rescale, [0, 1].
        strength: how much noise the low-quality latent gets, (0, 1]; 1 starts
            at the model's official timestep, 899 for I2VGen and 999, pure
            noise, for CogVideoX; less stays closer to the input.
        seed: of all random draws, 0 to 2**32 - 1.
        prompt: what the video shows; None takes the model's default.
        negative_prompt: what to avoid; None takes the model's default.
        chunk: frames per window of the denoiser; k r + 1 where a latent
            stands for r > 1 frames.
        overlap: frames shared by neighbouring windows, < chunk; likewise, or
            0.
        blend: how windows are stitched, 'smooth' or 'cut' (official).
        tile: side of a spatial tile in output pixels, or its height and
            width; 0 for no tiles.
        tile_overlap: pixels shared by neighbouring tiles, < tile.
        color_fix: 'adain', 'wavelet', 'detail' or 'none'.
        upsample: 'bicubic' or 'bilinear' enlargement of the input.
        compat: 'none', or 'official' for the official padding and windows.
    """

    scale: float = 4
    mode: str = 'fast'
    steps: int = 15
    sampler: str = 'dpmpp_2m_sde'
    guidance_scale: float = 7.5
    guidance_exponent: int = 0
    guidance_rescale: float = 0.2
    strength: float = 1.0
    seed: int = 0
    prompt: str | None = None
    negative_prompt: str | None = None
    chunk: int = 32
    overlap: int = 8
    blend: str = 'smooth'
    tile: int | tuple[int, int] = 0
    tile_overlap: int = 128
    color_fix: str = 'adain'
    upsample: str = 'bicubic'
    compat: str = 'none'

"""The velocity with guidance: two texts, one batch where memory allows."""

import torch
from torch import Tensor

from star.diffusion.guidance import dynamic_guidance, guide
from star.models.contracts import Events, Text
from star.models.layers.offloading import device_of
from star.models.layers.step_memory import StepMemory
from star.models.restoration.options import RestoreOptions
from star.models.restoration.parts import ModelParts
from star.models.text_encoders.open_clip import join_prompts

# first frames of segment and window, upper left corner of the tile
Place = tuple[int, int, int, int]
_TEXTS = {'cond': slice(0, 1), 'uncond': slice(1, 2), 'both': slice(0, 2)}


class GuidedVelocity:
    """Predicts guided velocities of one clip; holds its texts.

    Args:
        parts: in evaluation mode.
        options: of the restoration.
        events: receives a note for each prompt that is too long.
    """

    def __init__(
        self,
        parts: ModelParts,
        options: RestoreOptions,
        events: Events,
    ) -> None:
        self.parts = parts
        self.options = options
        timesteps = parts.schedule.list_timesteps(
            options.mode, options.steps, options.strength
        )
        self.timesteps = timesteps
        self.device = device_of(parts.backbone)
        self.dtype = next(parts.backbone.parameters()).dtype
        self.batched = True
        self.projected: dict[str, tuple[Text, Text]] = {}
        self.memories: dict[tuple[Place, str], StepMemory] = {}
        self.texts = self._encode_text(events)

    def __call__(
        self, z_t: Tensor, z_lq: Tensor, t: int, place: Place
    ) -> Tensor:
        """Predict the guided velocity of one window's tile.

        Args:
            z_t: noised latent, (1, C, T, h, w), on any device.
            z_lq: low-quality latent, of the same shape.
            t: timestep.
            place: of the tile within the clip.

        Returns:
            Velocity like `z_t`, float32, on the network's device.
        """
        z_t = z_t.to(self.device, self.dtype)
        z_lq = z_lq.to(self.device, self.dtype)
        scale = self._scale(t)
        if scale == 1:
            return self._call(z_t, z_lq, t, 'cond', place)
        cond, uncond = self._call_twice(z_t, z_lq, t, place)
        return guide(cond, uncond, scale, self.options.guidance_rescale)

    def _scale(self, t: int) -> float:
        """Return the guidance at a timestep; 1 outside the interval."""
        steps = len(self.timesteps)
        first, last = self.options.guidance_interval
        share = sum(earlier > t for earlier in self.timesteps) / steps
        if share < first or (share >= last and last < 1):
            return 1
        scale, exponent = (
            self.options.guidance_scale,
            self.options.guidance_exponent,
        )
        if not exponent:
            return scale
        return dynamic_guidance(t, steps, scale, exponent)

    def _encode_text(self, events: Events) -> Tensor:
        """Encode prompt and negative prompt as one batch."""
        options, encoder = self.options, self.parts.text_encoder
        positive = join_prompts(options.prompt, options.prompt_suffix)
        negative = options.negative_prompt
        for text in (positive, negative):
            lost = encoder.count_overflow(text)
            if lost:
                events.note(f'{lost} tokens too many in: {text}')
        both = encoder([positive, negative])
        return both.to(self.device, self.dtype)

    def _call_twice(
        self, z_t: Tensor, z_lq: Tensor, t: int, place: Place
    ) -> tuple[Tensor, Tensor]:
        """Predict with and without prompt: one batch, if it fits in memory."""
        if self.batched:
            try:
                z_t_both, z_lq_both = (
                    torch.cat([z_t] * 2),
                    torch.cat([z_lq] * 2),
                )
                both = self._call(z_t_both, z_lq_both, t, 'both', place)
                return both[:1], both[1:]
            except torch.OutOfMemoryError:
                self.batched = False
        return (
            self._call(z_t, z_lq, t, 'cond', place),
            self._call(z_t, z_lq, t, 'uncond', place),
        )

    def _call(
        self, z_t: Tensor, z_lq: Tensor, t: int, which: str, place: Place
    ) -> Tensor:
        """Predict the velocity with one of the texts."""
        steps = torch.full((len(z_t),), t, device=self.device)
        texts = self._project(which)
        memory = self._remember(place, which)
        return self.parts.velocity(z_t, steps, texts, z_lq, memory).float()

    def _remember(self, place: Place, which: str) -> StepMemory | None:
        """Return the memory of a tile and its texts, for another call."""
        if not self.options.cache:
            return None
        if all(known[0] != place[0] for known, _ in self.memories):
            self.memories.clear()  # of the segment before
        key = place, which
        if key not in self.memories:
            self.memories[key] = StepMemory(self.options.cache)
        self.memories[key].begin()
        return self.memories[key]

    def _project(self, which: str) -> tuple[Text, Text]:
        """Project a text for both networks, once per clip."""
        if which not in self.projected:
            text = self.texts[_TEXTS[which]]
            self.projected[which] = (
                self.parts.controlnet.project_text(text),
                self.parts.backbone.project_text(text),
            )
        return self.projected[which]

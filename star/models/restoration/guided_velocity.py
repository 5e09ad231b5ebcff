"""The velocity with guidance: two texts, one batch where memory allows."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from star.diffusion.guidance import dynamic_guidance, guide
from star.models.restoration.options import RestoreOptions
from star.models.text_encoders.open_clip import join_prompts

if TYPE_CHECKING:
    from star.models.editors.star.star_model import STARModel

_TEXTS = {'cond': slice(0, 1), 'uncond': slice(1, 2), 'both': slice(0, 2)}


class GuidedVelocity:
    """Predicts guided velocities of one clip; holds its texts.

    Args:
        model: the STARModel, in evaluation mode.
        options: of the restoration.
        num_steps: evaluations of the sampler, for guidance that changes.
        note: called with what the user should know.
    """

    def __init__(
        self,
        model: 'STARModel',
        options: RestoreOptions,
        num_steps: int,
        note: Callable[[str], None],
    ) -> None:
        self.model = model
        self.options = options
        self.num_steps = num_steps
        parameter = next(model.backbone.parameters())
        self.device, self.dtype = parameter.device, parameter.dtype
        self.batched = True
        self.projected: dict[str, tuple[Any, Any]] = {}
        self.texts = self._encode_text(note)

    def __call__(self, z_t: Tensor, z_lq: Tensor, t: int) -> Tensor:
        """Predict the guided velocity of one window's tile.

        Args:
            z_t: noised latent, (1, C, T, h, w), on any device.
            z_lq: low-quality latent, likewise.
            t: timestep.

        Returns:
            Velocity like `z_t`, float32, on the network's device.
        """
        z_t = z_t.to(self.device, self.dtype)
        z_lq = z_lq.to(self.device, self.dtype)
        scale = self._scale(t)
        if scale == 1:
            return self._call(z_t, z_lq, t, 'cond')
        cond, uncond = self._call_twice(z_t, z_lq, t)
        return guide(cond, uncond, scale, self.options.guidance_rescale)

    def _scale(self, t: int) -> float:
        scale, exponent = (
            self.options.guidance_scale,
            self.options.guidance_exponent,
        )
        if not exponent:
            return scale
        return dynamic_guidance(t, self.num_steps, scale, exponent)

    def _encode_text(self, note: Callable[[str], None]) -> Tensor:
        """Encode prompt and negative prompt as one batch."""
        prompts = self.model.prompts
        prompt, negative = self.options.prompt, self.options.negative_prompt
        prompt = prompts['prompt'] if prompt is None else prompt
        negative = prompts['negative'] if negative is None else negative
        positive = join_prompts(prompt, prompts['suffix'])
        for text in (positive, negative):
            lost = self.model.text_encoder.count_overflow(text)
            if lost:
                note(f'{lost} tokens too many in: {text}')
        both = self.model.text_encoder([positive, negative])
        return both.to(self.device, self.dtype)

    def _call_twice(
        self, z_t: Tensor, z_lq: Tensor, t: int
    ) -> tuple[Tensor, Tensor]:
        """Predict with and without prompt: one batch, if it fits in memory."""
        if self.batched:
            try:
                z_t_both, z_lq_both = (
                    torch.cat([z_t] * 2),
                    torch.cat([z_lq] * 2),
                )
                both = self._call(z_t_both, z_lq_both, t, 'both')
                return both[:1], both[1:]
            except torch.OutOfMemoryError:
                self.batched = False
        return (
            self._call(z_t, z_lq, t, 'cond'),
            self._call(z_t, z_lq, t, 'uncond'),
        )

    def _call(self, z_t: Tensor, z_lq: Tensor, t: int, which: str) -> Tensor:
        """Predict the velocity with one of the texts."""
        steps = torch.full((len(z_t),), t, device=self.device)
        texts = self._project(which)
        return self.model.velocity(z_t, steps, texts, z_lq).float()

    def _project(self, which: str) -> tuple[Any, Any]:
        """Keys and values of a text for both nets, computed once per clip."""
        if which not in self.projected:
            text, model = self.texts[_TEXTS[which]], self.model
            self.projected[which] = (
                model.controlnet.project_text(text),
                model.backbone.project_text(text),
            )
        return self.projected[which]

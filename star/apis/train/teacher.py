"""Training items with what a teacher makes of them in many steps."""

from dataclasses import replace
from typing import Any

from mmengine.config import Config
from torch import Tensor, nn

from star.apis.inference.build import load_config
from star.apis.inference.devices import find_device, find_model_dtype
from star.apis.inference.load import Source, load_model
from star.apis.train.latent_cache import LatentEncoder, preprocessor_config
from star.models.contracts import Autoencoder, TextEncoder
from star.models.editors.star.star_model import STARModel
from star.models.editors.star_onestep.teacher import teach
from star.models.layers.lora import merge_lora
from star.models.restoration.events import EventRelay
from star.models.restoration.options import RestoreOptions
from star.models.text_encoders.open_clip import join_prompts
from star.registry import MODELS
from star.structures import VideoSample

RANDOM_SAMPLERS = ('dpmpp_2m_sde', 'cogvideox_dpmpp_2m')


class TeacherEncoder:
    """Encodes training items and restores them with a teacher.

    Args:
        latents: encodes clips, with the teacher's autoencoder.
        model: the teacher, in evaluation mode.
        points: states of each path to keep, >= 1.

    Raises:
        ValueError: `points` is below 1.
    """

    def __init__(
        self, latents: LatentEncoder, model: STARModel, points: int
    ) -> None:
        if points < 1:
            raise ValueError(f'`points` must be at least 1, got {points}')
        self.latents = latents
        self.parts = model.parts
        self._networks = {
            name: model.get_submodule(name)
            for name in ('backbone', 'controlnet')
        }
        self.options = model.restore_options
        self.points = points
        self.events = EventRelay()
        self._no_text: Tensor | None = None

    @property
    def autoencoder(self) -> Autoencoder:
        """The teacher's autoencoder."""
        return self.parts.autoencoder

    @property
    def text_encoder(self) -> TextEncoder:
        """The teacher's text encoder."""
        return self.parts.text_encoder

    @property
    def networks(self) -> dict[str, nn.Module]:
        """The teacher's denoiser, backbone and ControlNet."""
        return dict(self._networks)

    def encode(self, item: dict) -> VideoSample:
        """Return an item's sample with `z0`, `z_lq` and `teacher`, CPU.

        The prompt of the sample becomes the one that the teacher saw: its
        own, or that of the teacher's options, with their suffix. The noise
        has the seed of the sample.

        Args:
            item: as for `LatentEncoder.encode`.

        Raises:
            ValueError: as for `LatentEncoder.encode`, or the result is not
                finite.
        """
        sample = self.latents.encode(item)
        assert sample.z_lq is not None
        options = self._options_for(sample)
        path = teach(
            self.parts, options, sample.z_lq, self.points, self.events
        )
        if self._no_text is None:
            self._no_text = self.encode_text('')
        path.no_text = self._no_text
        sample.teacher = path
        sample.prompt = join_prompts(options.prompt, options.prompt_suffix)
        return sample

    def encode_text(self, prompt: str) -> Tensor:
        """Embed one prompt, (L, D) on the CPU."""
        return self.latents.encode_text(prompt)

    def _options_for(self, sample: VideoSample) -> RestoreOptions:
        options = self.options
        if sample.prompt:
            options = replace(options, prompt=sample.prompt)
        if sample.seed is not None:
            options = replace(options, seed=sample.seed)
        return options


def teacher_config(settings: Config) -> Config:
    """Return the config of a student's teacher, or that of a teacher.

    Args:
        settings: with the name of the teacher's config as `teacher`, or of
            the teacher itself.

    Raises:
        ValueError: there is no such config.
    """
    name = settings.get('teacher')
    return settings if name is None else load_config(name)


def load_teacher(
    settings: Config, source: Source, points: int, device: str | None = None
) -> TeacherEncoder:
    """Load a teacher to restore training items with.

    The autoencoder stays float32, so that latents are those of a training.

    Args:
        settings: its config.
        source: of its weights.
        points: states of each path to keep.
        device: None for a GPU if there is one.

    Raises:
        ValueError: weights are missing or do not fit, or the model is no
            STARModel.
    """
    target = find_device(device)
    model: Any = load_model(settings, source)
    if not isinstance(model, STARModel):
        raise ValueError(
            f'config {settings.filename}: a teacher must be a STARModel, got '
            f'{type(model).__name__}'
        )
    merge_lora(model)
    model.place(target, find_model_dtype(model, None, target))
    model.get_submodule('autoencoder').float()
    model.eval()
    preprocessor = MODELS.build(preprocessor_config(settings)).to(target)
    latents = LatentEncoder(
        preprocessor, model.autoencoder, model.text_encoder
    )
    return TeacherEncoder(latents, model, points)


def describe_teacher(
    settings: Config, encoder: TeacherEncoder
) -> dict[str, Any]:
    """Describe what decides a teacher's results, but for its weights.

    Args:
        settings: its config.
        encoder: the teacher.
    """
    options = dict(vars(encoder.options))
    for unused in ('window', 'overlap', 'tile', 'tile_overlap', 'memory'):
        del options[unused]
    model = settings.model
    names = ('backbone', 'controlnet', 'schedule', 'residual_std')
    parts = {name: model.get(name) for name in names}
    return {**parts, 'restore_options': options, 'points': encoder.points}

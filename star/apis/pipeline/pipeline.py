"""STAR as a pipeline of diffusers, with the restore path of `star restore`."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import DiffusionPipeline
from diffusers.utils import BaseOutput
from torch import nn

from star.apis.inference.devices import DTYPES, dtype_of
from star.apis.pipeline.assembly import (
    NETWORKS,
    put_together,
    take_apart,
)
from star.apis.pipeline.components import save_tokenizer
from star.apis.pipeline.folder import check_folder
from star.apis.pipeline.frames import check_output, make_output, read_clip
from star.apis.pipeline.lora import LoRALoader
from star.apis.pipeline.places import portable
from star.apis.pipeline.schedules import schedule_config
from star.apis.pipeline.steps import StepCalls, run_steps, seed_of
from star.models.layers.offloading import set_device
from star.models.restoration.choose import choose_options
from star.utils.checks import check_choice
from star.utils.compat import require

_COMPONENTS = ('vae', 'text_encoder', 'tokenizer', 'scheduler', *NETWORKS)


@dataclass
class STARPipelineOutput(BaseOutput):
    """The result of a pipeline.

    Args:
        frames: the restored clip, a batch of one; see `output_type`.
    """

    frames: Any


class STARVideoPipeline(LoRALoader, DiffusionPipeline):
    """Restores clips as `star restore` does, for users of diffusers.

    The same options and seed give the same pixels as `STARModel.restore`.
    A clip is restored as one scene, with the windows and tiles of the
    config or of `options`; `star restore` also finds scenes, and chooses
    windows and tiles for the free memory.

    Args:
        scheduler: keeps the config of the noise schedule.
        settings: what the config says of the model beside its components;
            see `portable`.
        vae: autoencoder; None if it has no weights.
        text_encoder: tower of the text encoder; None if it has no weights.
        tokenizer: of the text encoder; None if it reads no text.
        transformer: the denoiser, if it is CogVideoX's transformer.
        unet: the denoiser, if it is another network.
        controlnet: of the denoiser; None if it has no weights.
    """

    model_cpu_offload_seq = 'text_encoder->transformer->unet->vae'
    _optional_components = [  # noqa: RUF012 diffusers reads a list
        'vae',
        'text_encoder',
        'tokenizer',
        *NETWORKS,
    ]

    def __init__(
        self,
        scheduler: Any,
        settings: dict | None = None,
        vae: nn.Module | None = None,
        text_encoder: nn.Module | None = None,
        tokenizer: Any = None,
        transformer: nn.Module | None = None,
        unet: nn.Module | None = None,
        controlnet: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.register_modules(
            scheduler=scheduler,
            vae=vae,
            text_encoder=text_encoder,
            tokenizer=tokenizer,
            transformer=transformer,
            unet=unet,
            controlnet=controlnet,
        )
        schedule_config(scheduler)  # refuses those that we do not have
        self.register_to_config(settings=settings)
        self._built: tuple[tuple, Any] | None = None

    @classmethod
    def from_model(cls, model: Any) -> 'STARVideoPipeline':
        """Make a pipeline of a model; nothing is copied.

        Args:
            model: a STARModel from `init_model`.

        Raises:
            ValueError: it is of another class.
        """
        config = getattr(model, 'config_model', None)
        if config is None:
            raise ValueError(
                '`model` must come from `init_model`, which keeps its config'
            )
        settings = portable(config)
        return cls(settings=settings, **take_apart(model, settings))

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls,
        folder: str | os.PathLike,
        dtype: str | torch.dtype | None = None,
        **components: Any,
    ) -> 'STARVideoPipeline':
        """Read a folder that `save_pretrained` or `star convert` wrote.

        Nothing but safetensors is read, and no code of the folder is run.

        Args:
            folder: the folder.
            dtype: of the networks' weights, float32 if it is None; the text
                encoder keeps its own. `torch_dtype` is its former name.
            components: components in place of the folder's, and settings of
                diffusers' `from_pretrained`, such as `variant`.

        Raises:
            ValueError: there is no such folder, it is of another pipeline, a
                component is missing or does not fit, or the scheduler is of
                a kind that we do not have.
        """
        dtype = dtype or components.pop('torch_dtype', None) or torch.float32
        word = str(dtype).removeprefix('torch.')
        check_choice('dtype', word, DTYPES)
        variant = components.get('variant')
        text = check_folder(Path(folder), components.keys(), variant)
        own = dict.fromkeys(('vae', *NETWORKS), DTYPES[word])
        return super().from_pretrained(
            os.fspath(folder),
            dtype={**own, 'default': text},
            use_safetensors=True,
            **components,
        )

    @property
    def model(self) -> Any:
        """The STARModel of the present components."""
        parts = {name: getattr(self, name, None) for name in _COMPONENTS}
        key = tuple(parts.values())
        known = self._built
        if known is None or any(
            a is not b for a, b in zip(known[0], key, strict=True)
        ):
            model = put_together(self.config.settings, parts)
            if not _is_hooked(parts):
                model.place(self.device, self._network_dtype())
            self._built = known = key, model
        return known[1]

    @torch.no_grad()
    def __call__(
        self,
        video: Any,
        prompt: str | None = None,
        negative_prompt: str | None = None,
        num_inference_steps: int | None = None,
        guidance_scale: float | None = None,
        generator: torch.Generator | list[torch.Generator] | None = None,
        output_type: str = 'pil',
        return_dict: bool = True,
        callback_on_step_end: Callable | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> STARPipelineOutput | tuple:
        """Restore a clip.

        Args:
            video: the low-quality clip; see `read_clip`.
            prompt: what it shows; None for the config's.
            negative_prompt: what to avoid; None for the config's.
            num_inference_steps: evaluations; None for the config's.
            guidance_scale: classifier-free guidance; None for the config's.
            generator: whose seed, the last 32 bits of it, is that of the
                restoration; its state neither counts nor changes. None for
                the config's seed.
            output_type: 'pil', 'np', 'pt' or 'uint8'; see `make_output`.
            return_dict: return a `STARPipelineOutput`, not a tuple.
            callback_on_step_end: called after each evaluation with the
                pipeline, its number, the timestep and `{'latents': x0}`, the
                estimate that it gave; what it returns must not differ. A
                model that restores in one step band by band has no steps.
            options: fields of `RestoreOptions` beside these, such as
                `dict(scale=2, window=16)`.

        Raises:
            ValueError: an argument is wrong.
        """
        check_output(output_type)
        named = {
            'prompt': prompt,
            'negative_prompt': negative_prompt,
            'steps': num_inference_steps,
            'guidance_scale': guidance_scale,
            'seed': seed_of(generator),
        }
        given = {k: v for k, v in named.items() if v is not None}
        model = self.model
        chosen = choose_options(model, {**(options or {}), **given})
        clip = read_clip(video)
        calls = StepCalls(self, callback_on_step_end)
        with self.progress_bar(total=len(clip)) as bar:
            restored = run_steps(model, clip, chosen, calls, bar)
        self.maybe_free_model_hooks()
        self._note_device()
        frames = make_output(restored, output_type)
        return STARPipelineOutput(frames) if return_dict else (frames,)

    def to(self, *args: Any, **settings: Any) -> 'STARVideoPipeline':
        """Move to a device and a dtype, as diffusers' pipelines.

        The dtype is that of the networks; the text encoder keeps its own.
        """
        dtype = settings.pop('dtype', None)
        words = [word for word in args if not isinstance(word, torch.dtype)]
        kinds = [word for word in args if isinstance(word, torch.dtype)]
        super().to(*words, **settings)
        if not _is_hooked(self.components):
            wanted = dtype or next(iter(kinds), self._network_dtype())
            self.model.place(self.device, wanted)
        return self

    def enable_model_cpu_offload(
        self,
        gpu_id: int | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        """Keep components on the CPU, each on the device while it works.

        Raises:
            ImportError: accelerate is not installed.
        """
        require('accelerate', 'diffusers')
        _ = self.model  # its layout in memory is as without offloading
        super().enable_model_cpu_offload(gpu_id, device)
        self._note_device()

    def enable_sequential_cpu_offload(
        self,
        gpu_id: int | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        """Refuse what does not work in inference mode, which we restore in.

        Raises:
            ValueError: always.
        """
        raise ValueError(
            '`enable_sequential_cpu_offload` does not work here: call '
            '`enable_model_cpu_offload`, or use `star restore --offload block`'
        )

    def remove_all_hooks(self) -> None:
        """Remove what offloading has added."""
        super().remove_all_hooks()
        for part in self._parts():
            set_device(part, None)

    def save_pretrained(  # type: ignore[override]
        self, folder: str | os.PathLike, **settings: Any
    ) -> None:
        """Write the components as a folder, for `from_pretrained`.

        Args:
            folder: to write; files in it are replaced.
            settings: of diffusers' `save_pretrained`, such as `variant` and
                `max_shard_size`.

        Raises:
            ValueError: LoRA weights are loaded, or `safe_serialization` is
                switched off.
        """
        self.refuse_adapters('save_pretrained')
        if not settings.get('safe_serialization', True):
            raise ValueError('`safe_serialization` must be True: no pickles')
        super().save_pretrained(os.fspath(folder), **settings)
        if self.tokenizer is not None:
            save_tokenizer(self.tokenizer, Path(folder) / 'tokenizer')

    def _parts(self) -> list[nn.Module]:
        """List the parts of the model that look where they compute."""
        model = self.model
        return [model.autoencoder, model.backbone, model.controlnet]

    def _note_device(self) -> None:
        """Set where parts compute while their weights are offloaded."""
        if _is_hooked(self.components):
            for part in self._parts():
                set_device(part, self._execution_device)

    def _network_dtype(self) -> torch.dtype:
        network: Any = self.transformer or self.unet
        return dtype_of(network) or torch.float32


def _is_hooked(components: Mapping[str, Any]) -> bool:
    """Return whether something else moves the weights of components."""
    modules = [m for m in components.values() if isinstance(m, nn.Module)]
    return any(hasattr(m, '_hf_hook') for p in modules for m in p.modules())

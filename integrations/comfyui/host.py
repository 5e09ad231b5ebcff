"""All that is taken from ComfyUI: device, memory, progress, folders."""

import logging
import os
from pathlib import Path

import comfy.model_management as management
import comfy.utils
import folder_paths
import torch

_log = logging.getLogger('star')
_STEPS = 1000  # of the bar
# shares of the time, of methods that have all stages
_SHARES = {'encode': 0.05, 'denoise': 0.75, 'decode': 0.2}
# whether what a browser shows is a video
_SHOWN = {'.mp4': True, '.webm': True, '.png': False, '.jpg': False}
_FOLDER = 'star'  # of weights, below ComfyUI's models


class Progress:
    """Shows the events of a restoration, and ends it when the user says so.

    Every event asks ComfyUI whether the user has interrupted the work.
    """

    def __init__(self) -> None:
        self._bar = comfy.utils.ProgressBar(_STEPS)
        self._done: dict[str, float] = {}
        self._shown = 0

    def progress(self, stage: str, done: int, total: int | None) -> None:
        """Move the bar.

        Args:
            stage: 'encode', 'denoise' or 'decode'; others do not count.
            done: frames that have passed the stage.
            total: frames of the clip; None if unknown.
        """
        check_interrupted()
        if stage not in _SHARES or not total:
            return
        self._done[stage] = min(1.0, done / total)
        share = self._done.get('decode', 0.0)
        if len(self._done) > 1 or stage != 'decode':
            share = sum(_SHARES[k] * v for k, v in self._done.items())
        self._shown = max(self._shown, round(_STEPS * share))
        self._bar.update_absolute(self._shown, _STEPS)

    def note(self, text: str) -> None:
        """Write a note to ComfyUI's log."""
        say(text)


def check_interrupted() -> None:
    """Raise ComfyUI's own exception if the user has interrupted the work."""
    management.throw_exception_if_processing_interrupted()


def say(text: str) -> None:
    """Write a line to ComfyUI's log."""
    _log.info('STAR: %s', text)


def find_device() -> torch.device:
    """Return the device that ComfyUI computes on."""
    return management.get_torch_device()


def find_resting_device() -> torch.device:
    """Return where ComfyUI keeps the weights that nobody uses."""
    return management.unet_offload_device()


def find_image_device() -> torch.device:
    """Return where ComfyUI keeps images between nodes."""
    return management.intermediate_device()


def make_room() -> None:
    """Move the weights of all other nodes off the device."""
    management.unload_all_models()
    management.soft_empty_cache()


def give_room_back() -> None:
    """Return memory that nobody uses to the device."""
    management.soft_empty_cache()


def register_folder() -> None:
    """Let ComfyUI know the folder of weights, `models/star`."""
    path = os.path.join(folder_paths.models_dir, _FOLDER)
    folder_paths.add_model_folder_path(_FOLDER, path)


def find_weights(name: str) -> str:
    """Return the path of a file or folder below `models/star`.

    Args:
        name: of the file; a word or any other path is returned as it is.
    """
    for folder in folder_paths.get_folder_paths(_FOLDER):
        if os.path.exists(path := os.path.join(folder, name)):
            return path
    return name


def find_published(name: str) -> str:
    """Return the place of a published model.

    A config file is none: it is a program, and a workflow may name any.

    Args:
        name: hf://OWNER/NAME, a folder, or its name below `models/star`.

    Raises:
        ValueError: it is nothing of these.
    """
    found = find_weights(name)
    if not (found.startswith('hf://') or os.path.isdir(found)):
        raise ValueError(
            '`published` must be hf://OWNER/NAME or the folder of a published '
            f'model, got {name!r}'
        )
    return found


def find_source(name: str) -> Path:
    """Return the path of an input.

    Args:
        name: a whole path, or one below ComfyUI's folder of inputs, of
            outputs where it ends in ` [output]`.

    Raises:
        ValueError: the name is empty or leaves the folder.
    """
    if not name.strip():
        raise ValueError('`source` must be a video, an image or a folder')
    path = Path(name).expanduser()
    if path.is_absolute():
        return path
    # trailing blanks belong to the mark, not to the name
    base, marked = folder_paths.annotated_filepath(name)
    folder = marked or folder_paths.get_input_directory()
    return _inside(Path(folder), base.strip(), 'source')


def find_result(name: str) -> str:
    """Return the path of a result below ComfyUI's folder of outputs.

    Args:
        name: of the result; a folder if it ends in `/`.

    Raises:
        ValueError: it would lie elsewhere.
    """
    folder = Path(folder_paths.get_output_directory())
    ends = '/' * (name.endswith(('/', os.sep)) or not name.strip())
    return f'{_inside(folder, name.strip(), "result")}{ends}'


def _inside(folder: Path, name: str, argument: str) -> Path:
    """Join a folder and a name that may not leave it."""
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f'`{argument}` must be below {folder}, got {name!r}')
    return path


def show_result(path: Path) -> dict[str, list]:
    """Return what lets ComfyUI show a result, if a browser can.

    Args:
        path: below ComfyUI's folder of outputs.
    """
    suffix = path.suffix.lower()
    if suffix not in _SHOWN or path.is_dir():
        return {}
    folder = Path(folder_paths.get_output_directory()).resolve()
    inner = path.resolve().relative_to(folder)
    place = {
        'filename': inner.name,
        'subfolder': inner.parent.as_posix().removeprefix('.'),
        'type': 'output',
    }
    return {'images': [place], 'animated': [_SHOWN[suffix]]}

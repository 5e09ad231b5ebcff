"""Publish a model: one file of weights, or a folder that explains itself."""

from pathlib import Path
from typing import Any

from torch import Tensor

from star.apis.inference.held import read_held
from star.apis.inference.published import CARD, WEIGHTS
from star.apis.publish.card import write_card
from star.apis.publish.facts import gather_facts
from star.apis.publish.model import ModelToPublish, read_model
from star.apis.publish.options import PublishOptions
from star.apis.publish.scores import read_scores
from star.apis.publish.weights import describe_lacking, gather
from star.utils.checkpoint_folder import CONFIG
from star.utils.files import sha256_of, write_json
from star.utils.tensor_files import check_target, save_tensors

_DEFAULTS = PublishOptions()


def publish_model(
    src: str | Path,
    dst: str | Path,
    options: PublishOptions = _DEFAULTS,
) -> int:
    """Write the weights of a checkpoint for others.

    Args:
        src: checkpoint folder, the folder of a training for its last
            checkpoint, or a file of tensors.
        dst: a `.safetensors` file; or a folder, which exists, ends with / or
            has no suffix. A folder gets `model.safetensors`, `config.json`
            and the model card `README.md`; `star.apis.init_model` reads it,
            here or from the Hugging Face hub.
        options: of publishing.

    Returns:
        The number of parameters that were written.

    Raises:
        ValueError: the checkpoint cannot be read or is not whole, `dst`
            exists, or a result is of other weights.
        OSError: `dst` cannot be written.
    """
    src, folder = Path(src), Path(dst)
    if _is_folder(dst):
        _check_folder(src, folder, options)
        return _write_folder(src, folder, options)
    check_target(src, folder, options.overwrite)
    held = read_held(src, options.averaged)
    state = gather(src, held, options)
    notes = {} if options.prefix else describe_lacking(held, state)
    save_tensors(state, folder, notes)
    return _count(state)


def _is_folder(dst: str | Path) -> bool:
    path = Path(dst)
    return str(dst).endswith('/') or path.is_dir() or not path.suffix


def _check_folder(src: Path, dst: Path, options: PublishOptions) -> None:
    """Refuse a target that would lose files, before the work begins."""
    if not src.exists():
        raise ValueError(f'{src}: no such file or folder')
    if dst.is_file():
        raise ValueError(f'{dst}: is a file, not a folder')
    if dst.resolve() == src.resolve():
        raise ValueError(f'{dst}: is the source')
    there = [n for n in (CONFIG, WEIGHTS, CARD) if (dst / n).exists()]
    if there and not options.overwrite:
        raise ValueError(f'{dst / there[0]}: exists (use --overwrite)')


def _write_folder(src: Path, dst: Path, options: PublishOptions) -> int:
    """Write the three files; `config.json` last, as it vouches for all."""
    model = read_model(src, dst.absolute().name, options)
    scores = read_scores(options.results, model.digests)
    save_tensors(model.state, dst / WEIGHTS, model.notes)
    sha256 = sha256_of(dst / WEIGHTS)
    facts = gather_facts(src, model, options)
    write_card(dst / CARD, model, facts, scores, sha256)
    write_json(dst / CONFIG, _manifest(model, sha256))
    return _count(model.state)


def _manifest(model: ModelToPublish, sha256: str) -> dict[str, Any]:
    return {
        **model.manifest,
        'files': {WEIGHTS: {'sha256': sha256, 'parts': model.parts}},
    }


def _count(state: dict[str, Tensor]) -> int:
    return sum(tensor.numel() for tensor in state.values())

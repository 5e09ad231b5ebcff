"""Records in a checkpoint: the origins of its model, and its config."""

from collections.abc import Collection
from typing import Any

from mmengine.runner import Runner

from star.engine.run_state import unwrapped
from star.utils.checkpoint_folder import CONFIG, ORIGINS
from star.utils.origins import get_record
from star.utils.state_dicts import clean_name

# a config from a checkpoint is data: it must not import anything
_KEPT = ('model', 'weights', 'start_weights')


def describe_run(runner: Runner, held: Collection[str]) -> dict[str, Any]:
    """Describe a run for a checkpoint.

    Args:
        runner: of the training.
        held: names of the tensors that the checkpoint holds.

    Returns:
        Content of JSON files by their names: the config's model, and unless
        the model was built otherwise than by `load_model`, the origins of its
        tensors with the files of those that are not held.
    """
    settings = runner.cfg.to_dict()
    found = {CONFIG: {key: settings[key] for key in _KEPT if key in settings}}
    model = unwrapped(runner.model)
    record = get_record(model)
    if record is not None:
        named = {clean_name(name) for name, _ in model.named_parameters()}
        found[ORIGINS] = record.to_json(named - set(held))
    return found

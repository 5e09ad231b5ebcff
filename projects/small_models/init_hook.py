"""Hooks of the Runner."""

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from star.registry import HOOKS


@HOOKS.register_module()
class InitFromDataHook(Hook):
    """Lets a model set its initial weights from items of the training set.

    Calls `model.init_from_data(batches)` before a new run; a run that is
    resumed or given weights has them already. The items come from the data
    set itself: the loader has one endless iterator, which a second one would
    end.

    Args:
        num_items: how many items the model sees.
    """

    def __init__(self, num_items: int) -> None:
        self.num_items = num_items

    def before_train(self, runner: Runner) -> None:
        """Initialise the model, unless it has been given weights."""
        if runner.iter > 0 or runner.cfg.get('load_from') is not None:
            return
        loader, model = runner.train_dataloader, runner.model
        model = model.module if is_model_wrapper(model) else model
        items = (loader.dataset[i] for i in range(self.num_items))
        model.init_from_data([loader.collate_fn([item]) for item in items])

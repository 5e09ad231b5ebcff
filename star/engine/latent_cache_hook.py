"""Check that a latent cache was made by this model's encoders."""

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from star.registry import HOOKS


@HOOKS.register_module()
class CheckLatentCacheHook(Hook):
    """Checks that the latent cache was made with the model's weights.

    It does nothing for data sets without `check_model`.
    """

    def before_train(self, runner: Runner) -> None:
        """Check once, after the weights were loaded.

        Raises:
            ValueError: the autoencoder or text encoder has other weights.
        """
        check = getattr(runner.train_dataloader.dataset, 'check_model', None)
        if check is not None:
            model = runner.model
            check(model.module if is_model_wrapper(model) else model)

"""Before training from cached latents: did this model's encoders make them?"""

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from star.registry import HOOKS


@HOOKS.register_module()
class CheckLatentCacheHook(Hook):
    """Compares the model's weights with those that made the latent cache.

    Does nothing for data sets without `check_model`.
    """

    def before_train(self, runner: Runner) -> None:
        """Check once, after the weights were loaded.

        Raises:
            ValueError: autoencoder or text encoder have other weights.
        """
        check = getattr(runner.train_dataloader.dataset, 'check_model', None)
        if check is not None:
            model = runner.model
            check(model.module if is_model_wrapper(model) else model)

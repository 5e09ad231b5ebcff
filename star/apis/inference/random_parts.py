"""Refusal of models of which a part would be random numbers."""

from torch import nn

from star.utils.randomness import named_tensors


def refuse_random(
    model: nn.Module, random: set[str], what: object, training: bool
) -> None:
    """Refuse random numbers that nobody asked for.

    Args:
        model: whose tensors.
        random: names of those that are random and were not asked for.
        what: the weights come from, for the message.
        training: what learns may be random; only the rest is refused.

    Raises:
        ValueError: naming the parts.
    """
    random = random & _frozen(model) if training else random
    if not random:
        return
    counts: dict[str, int] = {}
    for name in random:
        part = name.partition('.')[0]
        counts[part] = counts.get(part, 0) + 1
    parts = ', '.join(f'{k} ({v} tensors)' for k, v in sorted(counts.items()))
    first = min(counts)
    if training:
        raise ValueError(
            f'training would freeze random numbers: {parts}; name their file '
            f'with --weights or `start_weights`, or ask for them with '
            f"model.{first}.init='random'"
        )
    raise ValueError(
        f'{what} has no weights for {parts}, which would be random numbers: '
        'name their file with --weights, or ask for random numbers with '
        f"model.{first}.init='random'"
    )


def _frozen(model: nn.Module) -> set[str]:
    """Return frozen parameters, and the buffers of parts without others."""
    learn = {n for n, p in model.named_parameters() if p.requires_grad}
    parts = {name.partition('.')[0] for name in learn}
    named = {name for name, _ in model.named_parameters()}
    return {
        name
        for name in named_tensors(model)
        if name not in learn
        and (name in named or name.partition('.')[0] not in parts)
    }

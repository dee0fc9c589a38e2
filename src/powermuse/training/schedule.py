"""The learning rate as a function of `seen`: a run that goes on takes the rate that it would have had."""

from powermuse.recipe import TrainingRecipe


def is_on(settings: TrainingRecipe) -> bool:
    """Whether the rate changes at all."""
    return settings.warmup > 0 or settings.cooldown > 0


def learning_rate(settings: TrainingRecipe, seen: int) -> float:
    """Of the step at `seen`: rises from 0 over `warmup` pairs, falls over the last `cooldown` to `final_share`."""
    rise = min(1.0, seen / settings.warmup) if settings.warmup else 1.0
    left = min(1.0, max(0, settings.pairs - seen) / settings.cooldown) if settings.cooldown else 1.0
    return settings.learning_rate * rise * (settings.final_share + (1.0 - settings.final_share) * left)

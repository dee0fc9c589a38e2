"""A recipe that trains in a second or two, and those that are shipped."""

import pytest

from powermuse import recipe
from powermuse.recipe import Recipe

# Dropout is on: it shows whether every step is seeded.
TOY = """
name: toy
codec: {name: mel}
agent: {name: masking, options: {hidden: 16, heads: 2, dropout: 0.1}}
cascade: {layers: 1, heads: 2, ffn_multiple: 0.5, dropout: 0.1}
data: {pairing: shuffled, crop_frames: 48, decode_frames: 24}
training:
  pairs: 80
  batch: 4
  learning_rate: 1.0e-3
  threads: 1
  log_every: 12
  validate_every: 28
  validation_pairs: 8
  save_every: 20
tracking: {mlflow: false, listen: 0}
weights: {latent.groove: 0.3, latent.harmony: 0.3, mask.overlap: 1.0, mask.balance: 15.0}
"""

# Recipes that differ from another one in weights, data or noise alone.
_OTHER_WEIGHTS = (
    "push_complementarity", "creative_085", "temporal", "frequency", "first_masking", "noise_curriculum",
    "triplets_fixed", "triplets_masking", "factors_small", "factors_flow", "factors_sharp",
)  # fmt: skip
SHIPPED = [pytest.param(name, marks=[pytest.mark.long] * (name in _OTHER_WEIGHTS)) for name in recipe.shipped()]
"""The shipped recipes for a test of each; in the default run those that have something of their own."""


def toy(*overrides: str) -> Recipe:
    """The toy recipe with overrides."""
    return recipe.parse(TOY, "toy", list(overrides))

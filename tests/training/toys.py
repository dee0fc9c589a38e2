"""A recipe that trains in a second or two. Dropout is on: it shows whether every step is seeded."""

from powermuse import recipe
from powermuse.recipe import Recipe

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


def toy(*overrides: str) -> Recipe:
    """The toy recipe with overrides."""
    return recipe.parse(TOY, "toy", list(overrides))

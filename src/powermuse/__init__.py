"""PowerMuse: the rhythm of one clip and the harmony of another, in a piece that is in neither.

The public names are loaded when they are first used, so that importing the package costs nothing.
"""

import importlib
from typing import Any

_PUBLIC = {
    "BadInput": "powermuse.types",
    "Clip": "powermuse.types",
    "Pair": "powermuse.types",
    "Proposal": "powermuse.types",
    "Recipe": "powermuse.recipe",
    "load_recipe": "powermuse.recipe:load",
    "load_model": "powermuse.weights:load_model",
    "Aligner": "powermuse.composing.alignment",
    "Wish": "powermuse.composing.alignment",
    "Composer": "powermuse.composing.composer",
    "write_report": "powermuse.composing.report:write",
    "Dataset": "powermuse.data.shards",
    "prepare": "powermuse.data.prepare:prepare",
    "Plan": "powermuse.data.prepare",
    "Trainer": "powermuse.training.trainer",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'powermuse' has no attribute {name!r}")
    module, _, attribute = _PUBLIC[name].partition(":")
    return getattr(importlib.import_module(module), attribute or name)

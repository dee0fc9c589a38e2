"""A model between two of one recipe, of which one was trained on from the other: each weight a share of the way from
the first to the second (Wang et al., ESRGAN, ECCVW 2018, who so weigh fidelity against sharpness):
`python bench/between.py DRAFT SHARP SHARE OUT [SETTING ...]`. The recipe that is written is the first one's, with these
settings."""

import sys
from pathlib import Path

from powermuse import recipe, weights


def main(draft: str, sharp: str, share: str, out: str, *settings: str) -> None:
    first, second = weights.load_model(draft).model, weights.load_model(sharp).model
    towards, goal = float(share), second.state_dict()
    mixed = {name: (1.0 - towards) * tensor + towards * goal[name] for name, tensor in first.state_dict().items()}
    first.load_state_dict(mixed)
    Path(out).mkdir(parents=True, exist_ok=True)
    weights.save_model(
        Path(out), first, recipe.load(str(weights.find_model(draft) / "recipe.yaml"), list(settings)), half=True
    )


if __name__ == "__main__":
    main(*sys.argv[1:])

"""A wider net of `powermuse.audio.beatnet` that begins where a narrower one ended (Chen et al., Net2Net, ICLR 2016):
channels are doubled, what reads a doubled one takes its share of it, and a little noise tells the two apart.

    python bench/widen.py NARROW.safetensors WIDE.safetensors     # as wide as BeatNet is now, at most twice
"""

import sys
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from powermuse import disk
from powermuse.audio import beatnet

_NOISE = 0.02
"""Of a weight, and of the spread of all weights of its tensor."""


def main() -> None:
    narrow, wide = sys.argv[1:]
    weights = {name: tensor.float() for name, tensor in safetensors.torch.load_file(narrow).items()}
    old, new = len(weights["inward.bias"]), len(beatnet.BeatNet().inward.bias)  # type: ignore[arg-type]
    chance = torch.Generator().manual_seed(0)
    of_C = torch.cat([torch.arange(old), torch.randperm(old, generator=chance)[: new - old]])
    found = {name: widened(name, tensor, of_C, old, chance) for name, tensor in weights.items()}
    beatnet.BeatNet().load_state_dict(found)
    halves = {name: tensor.half().contiguous() for name, tensor in found.items()}
    disk.write_bytes(Path(wide), safetensors.torch.save(halves))


def widened(name: str, tensor: Tensor, of_C: Tensor, old: int, chance: torch.Generator) -> Tensor:
    """A tensor of a net whose channels are the old ones `of_C`."""
    reads = tensor.dim() > 1 and (".taps." in name or ".mix." in name or name in ("outward.weight", "pace.0.weight"))
    if reads:  # halves of what is doubled
        share_C = 1.0 / torch.bincount(of_C, minlength=old).float()
        tensor = (tensor * share_C.view(1, -1, *[1] * (tensor.dim() - 2)))[:, of_C]
    if ".taps." in name:  # both halves of a gated unit
        tensor = tensor[torch.cat([of_C, of_C + old])]
    elif name.startswith(("inward", "layers")):
        tensor = tensor[of_C]
    if "layers" in name and tensor.dim() > 1:
        noise = torch.randn(tensor.shape, generator=chance), torch.randn(tensor.shape, generator=chance)
        tensor = tensor * (1.0 + _NOISE * noise[0]) + _NOISE * tensor.std() * noise[1]
    return tensor


if __name__ == "__main__":
    main()

"""The optimiser: its moments there at once, its steps those of torch."""

import torch

from powermuse import optimizers


def test_adamw_with_its_moments_made_at_once_takes_the_steps_of_torch_s():
    gradients = torch.randn(4, 3, 2, generator=torch.Generator().manual_seed(0))
    ours, theirs = (torch.nn.Parameter(torch.ones(3, 2)) for _ in range(2))
    steps = (
        (ours, optimizers.adamw([ours], 0.1, 0.01, (0.5, 0.99))),
        (theirs, torch.optim.AdamW([theirs], 0.1, betas=(0.5, 0.99), weight_decay=0.01, fused=True)),
    )
    assert steps[0][1].state[ours]["exp_avg"].shape == (3, 2)
    for gradient in gradients:
        for parameter, optimizer in steps:
            parameter.grad = gradient.clone()
            optimizer.step()
    assert torch.equal(ours, theirs)

"""The adversary: its size, who gets a gradient, what it learns, what a checkpoint keeps of it."""

import copy

import pytest
import torch

from powermuse.adversary import Adversary
from powermuse.model import score
from powermuse.model.discriminator import Discriminator, PatchDiscriminator
from powermuse.recipe import AdversaryRecipe
from powermuse.types import BadInput, Clip, Pair

GO_ON, STOP = torch.tensor(0.0), torch.tensor(1.0)


@pytest.fixture
def adversary() -> Adversary:
    torch.manual_seed(0)
    return Adversary(AdversaryRecipe(), 8, 1e-3, 0.01)


def test_the_discriminator_has_the_weights_of_the_reference():
    assert sum(p.numel() for p in Discriminator(128).parameters()) == 3_802_881


def test_its_learning_rate_is_a_share_of_the_models(adversary):
    group = adversary.optimizer.param_groups[0]
    assert group["lr"] == 5e-4 and group["betas"] == (0.5, 0.999)


def test_judging_gives_a_gradient_to_the_blend_and_none_to_the_discriminator(adversary):
    blend = torch.randn(4, 8, 40, requires_grad=True)
    adversary.judge(blend).sum().backward()
    assert float(blend.grad.abs().sum()) > 0
    assert all(p.grad is None for p in adversary.network.parameters())
    assert all(p.requires_grad for p in adversary.network.parameters())


def test_it_learns_to_tell_two_kinds_of_latents_apart(adversary):
    generator = torch.Generator().manual_seed(1)
    for _ in range(60):
        real = 1.0 + 0.3 * torch.randn(8, 8, 40, generator=generator)
        told = adversary.learn(real, 0.3 * torch.randn(8, 8, 40, generator=generator), GO_ON)
    assert float(told["adversary.right_of_real"]) > 0.9 and float(told["adversary.right_of_fake"]) > 0.9
    assert float(told["adversary.loss"]) < 0.3


def test_real_clips_never_stand_beside_the_blend_made_of_them(adversary):
    seen = []
    adversary.network.register_forward_hook(lambda module, given, out: seen.append(given[0]))
    real = torch.arange(4.0)[:, None, None].expand(4, 8, 40)
    adversary.learn(real, torch.zeros(4, 8, 40), GO_ON)
    # One pass over both: the real ones first.
    assert seen[0][:, 0, 0].tolist() == [3.0, 0.0, 1.0, 2.0, 0.0, 0.0, 0.0, 0.0]


def test_after_a_bad_step_its_weights_stay(adversary):
    before = copy.deepcopy(adversary.network.state_dict())
    adversary.learn(torch.randn(4, 8, 40), torch.randn(4, 8, 40), STOP)
    assert all(torch.equal(before[name], now) for name, now in adversary.network.state_dict().items())


def test_restored_from_its_state_it_goes_on_to_the_same_weights(adversary):
    def step(one: Adversary, seed: int) -> None:
        torch.manual_seed(seed)
        one.learn(torch.randn(4, 8, 40), torch.randn(4, 8, 40), GO_ON)

    step(adversary, 1)
    kept = {group: {name: t.clone() for name, t in tensors.items()} for group, tensors in adversary.state().items()}
    step(adversary, 2)
    other = Adversary(AdversaryRecipe(), 8, 1e-3, 0.01)
    other.restore(kept, "here")
    step(other, 2)
    for mine, its in zip(adversary.network.parameters(), other.network.parameters(), strict=True):
        assert torch.equal(mine, its)


def test_a_checkpoint_without_it_is_refused(adversary):
    with pytest.raises(BadInput, match="missing"):
        adversary.restore({}, "here")


def test_of_patches_each_sees_a_part_of_the_picture_and_no_more():
    torch.manual_seed(0)
    network = PatchDiscriminator(128)
    z = torch.randn(1, 128, 160, requires_grad=True)
    logits = network(z)
    assert logits.shape == (1, 16, 20)
    logits[0, 8, 10].backward()
    seen = z.grad[0].abs() > 0
    channels, frames = (seen.any(dim=axis).nonzero()[:, 0] for axis in (1, 0))
    assert int(channels.max() - channels.min()) <= 76 and int(frames.max() - frames.min()) <= 76
    assert not seen[:, :40].any() and not seen[:, 120:].any()


def test_patches_tell_a_blurred_picture_from_a_sharp_one():
    torch.manual_seed(0)
    adversary = Adversary(AdversaryRecipe(hears="patches"), 128, 4e-3, 0.01)
    generator = torch.Generator().manual_seed(1)
    for _ in range(25):
        sharp = 5.0 + 4.0 * torch.randn(2, 128, 96, generator=generator)
        blurred = torch.nn.functional.avg_pool1d(sharp, 5, 1, 2)
        told = adversary.learn(sharp, blurred, GO_ON)
    assert float(told["adversary.right_of_real"]) > 0.9 and float(told["adversary.right_of_fake"]) > 0.9


def pair_of(z: torch.Tensor, notes: torch.Tensor | None) -> Pair:
    frames = z.shape[-1]
    clip = Clip(z, *(torch.zeros(len(z), *shape) for shape in ((8, frames), (24, frames), (frames,))))
    return Pair(clip, clip, clip, notes)


def test_told_what_is_played_it_knows_where_partials_lie_and_how_the_harmony_sounds():
    adversary = Adversary(AdversaryRecipe(hears="playing"), 128, 1e-3, 0.01)
    roll = torch.zeros(2, 88, 40)
    roll[0, 48, 10], roll[0, 48, 11:20] = 2.0, 1.0
    roll[1] = -1.0  # of a recording
    z = torch.arange(40.0).expand(2, 128, 40)
    told = adversary.told(pair_of(z, roll))
    assert told.shape == (2, 4, 128, 40)
    lie = score.partials(128)[48]
    assert torch.equal(told[0, 0, :, 10:20], lie[:, None].expand(-1, 10)) and not told[0, 0, :, 20:].any()
    assert torch.equal(told[0, 1, :, 10], lie) and not told[0, 1, :, 11:].any()
    assert not told[1, :2].any()
    # Of every fourth frame, 0 to 36, the fifth and the ninth; centre 5, spread 4.
    assert torch.allclose(told[:, 2], torch.tensor((16.0 - 5.0) / 4.0))
    assert torch.allclose(told[:, 3], torch.tensor((32.0 - 5.0) / 4.0))
    assert Adversary(AdversaryRecipe(hears="patches"), 128, 1e-3, 0.01).told(pair_of(z, roll)) is None


def told_apart_after(steps: int, hears: str) -> dict[str, torch.Tensor]:
    """Of one that is shown low and high partials, the truth those that are told, the blend the others: of latents
    alone nobody can tell them apart."""
    torch.manual_seed(0)
    adversary = Adversary(AdversaryRecipe(hears=hears), 128, 4e-3, 0.01)
    rolls = torch.zeros(2, 88, 48)
    rolls[0, 30], rolls[1, 60] = 1.0, 1.0
    right = 5.0 + 8.0 * torch.einsum("bqt,qd->bdt", rolls, score.partials(128))
    told = adversary.told(pair_of(torch.full_like(right, 5.0), rolls))
    return [adversary.learn(right, right.flip(0), GO_ON, told_BPDT=told) for _ in range(steps)][-1]


def test_told_what_is_played_it_learns_to_tell_other_notes_from_the_right_ones():
    told = told_apart_after(25, "playing")
    assert float(told["adversary.right_of_real"]) > 0.9 and float(told["adversary.right_of_fake"]) > 0.9
    assert float(told_apart_after(25, "patches")["adversary.loss"]) > 0.68


def test_where_nobody_learns_it_judges_without_dice(adversary):
    blend = torch.randn(4, 8, 40)
    once, again = (adversary.judge(blend, learning=False) for _ in range(2))
    assert torch.equal(once, again)
    assert not torch.equal(adversary.judge(blend), adversary.judge(blend))

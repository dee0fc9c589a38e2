"""Imagined steps: what they count, and that they leave no trace."""

import pytest
import torch
import torch.nn.functional as F

from powermuse import recipe
from powermuse.audio import spectra
from powermuse.model import layers
from powermuse.model.layers import Dropout, FeedForward
from powermuse.training import footprint
from powermuse.training.footprint import measure
from powermuse.training.ledger import imagined
from training.toys import SHIPPED, toy

CPU = torch.device("cpu")
MB = 1_000_000


def test_the_peak_is_what_is_alive_at_once():
    with imagined(CPU) as ledger:
        a = torch.empty(MB)
        b = a + 1
        del a
        c = b.view(1000, 1000).T  # a view of the same memory
        assert (ledger.now, ledger.peak) == (4 * MB, 8 * MB)
        del b, c
        assert ledger.begin() == ledger.peak == 0


def test_a_backward_pass_counts_what_was_kept_for_it():
    with imagined(CPU) as ledger:
        x = torch.empty(MB, requires_grad=True)
        y = x.sin().exp().sin()  # keeps x, for the first, and what exp gave, for the others
        assert ledger.begin() == 3 * 4 * MB
        y.sum().backward()
        del y
        assert ledger.begin() == 2 * 4 * MB  # x and its gradient


def test_the_lean_feed_forward_of_a_cpu_keeps_its_input_alone():
    with imagined(CPU) as ledger:
        network = FeedForward(64, 1024, 0.0).train()
        x = torch.empty(10, 100, 64, requires_grad=True)
        kept = ledger.begin()
        y = network(x)
        assert ledger.begin() - kept <= 2 * y.numel() * 4 < 1000 * 1024 * 4


def test_numbers_that_a_step_reads_are_answered():
    with imagined(CPU):
        assert Dropout(0.1).train()(torch.empty(8, 8)).shape == (8, 8)
        assert torch.empty(3, 7)[:, torch.empty(7) > 0].shape == (3, 7)  # all places: at most
        assert bool(torch.empty(3).sum() > 0)


def test_nothing_imagined_is_left_behind():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    measure(recipe.load("masking", ["training.batch=1", "data.crop_frames=600", "cascade.layers=1"]), 1, CPU)
    assert torch.equal(torch.rand(1), expected)
    window, positions = spectra.window(1024), layers.sinusoids(600, 256)
    assert float(window.sum()) == pytest.approx(2.0) and float(positions[0, 1]) == 1.0
    assert F.relu(torch.ones(1)) == 1.0


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_recipe_can_be_measured(name):
    small = ["training.batch=2", "cascade.layers=1"]
    frames = 640 if "modulation" in str(recipe.load(name).weights) else 96
    found = measure(recipe.load(name, [*small, f"data.crop_frames={frames}"]), 1, CPU)
    assert found.weights > 0 and found.optimizer == pytest.approx(2 * found.weights, rel=0.01)
    assert found.activations > 0 and (found.adversary > 0) is ("gan" in recipe.load(name).weights)
    assert (found.codec > 0) is (recipe.load(name).codec.name == "encodec")


def test_a_step_grows_with_its_part_of_the_batch_and_not_with_the_batch():
    one, two, parts = (
        measure(toy(f"training.batch={batch}", f"training.accumulate={parts}"), 1, CPU)
        for batch, parts in ((32, 1), (64, 1), (64, 2))
    )
    assert two.activations == pytest.approx(2 * one.activations, rel=0.1)
    assert one.activations <= parts.activations < 1.25 * one.activations


def test_processes_share_the_batch_and_exchange_gradients():
    alone, shared = measure(toy("training.batch=32"), 1, CPU), measure(toy("training.batch=64"), 2, CPU)
    assert shared.activations == alone.activations
    assert shared.gradients == 2 * alone.gradients


def test_an_average_of_the_weights_is_one_more_copy():
    plain, averaged = measure(toy(), 1, CPU), measure(toy("training.ema=0.9"), 1, CPU)
    assert averaged.optimizer - plain.optimizer == pytest.approx(plain.weights, rel=0.01)


def test_where_the_heap_keeps_no_holes_a_step_takes_what_its_tensors_take(monkeypatch):
    here = measure(toy("training.batch=64"), 1, CPU)
    monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", "65536")
    bare = measure(toy("training.batch=64"), 1, CPU)
    assert here.activations + here.gradients == pytest.approx(
        footprint.HEAP * (bare.activations + bare.gradients), rel=1e-6
    )

import pytest
import torch

from powermuse import recipe, registry, weights
from powermuse.adversary import Adversary
from powermuse.audio.spectra import mel_filters
from powermuse.model.discriminator import Discriminator
from powermuse.outline import Row, outline
from powermuse.recipe import Recipe
from powermuse.types import Clip, Pair


def rows(of: Recipe) -> dict[str, Row]:
    return {row.name: row for row in outline(of)}


def test_the_weights_of_the_reference_are_counted():
    masking, compositional = rows(recipe.load("masking")), rows(recipe.load("compositional"))
    wanted = {
        "agent": 1_083_904,
        "cascade.stages.0": 4_772_480,
        "cascade.stages.1": 10_697_600,
        "model": 1_083_904 + 4_772_480 + 10_697_600,
        "discriminator": 3_802_881,
        "codec.encodec": 14_851_810,
    }
    assert {name: masking[name].weights for name in wanted} == wanted
    assert compositional["agent"].weights == 14_515_078
    assert compositional["agent.extractors.0"].weights == 722_048
    assert rows(recipe.load("three_stage"))["cascade.stages.2"].weights == 18_982_016


def test_shapes_are_those_of_the_full_recipe():
    masking = rows(recipe.load("masking"))
    assert masking["agent"].shapes == ((8, 128, 1200), (8, 128, 1200))
    assert masking["cascade.stages.1.blocks.5"].shapes == ((8, 1200, 384),)
    assert masking["discriminator.convolutions"].shapes == ((8, 256, 150),)


@pytest.mark.parametrize("hears", ["clips", "patches", "playing"])
def test_the_discriminator_is_the_one_that_the_recipe_asks_for(hears):
    sharp = recipe.load("factors_sharp", [f"adversary.hears={hears}", "training.batch=2", "data.crop_frames=64"])
    made, pair = Adversary(sharp.adversary, 128, 1e-3, 0.0), torch.zeros(2, 128, 64)
    clip = Clip(pair, torch.zeros(2, 8, 64), torch.zeros(2, 24, 64), torch.zeros(2, 64))
    told = made.told(Pair(clip, clip, clip, torch.zeros(2, 88, 64)))
    row = rows(sharp)["discriminator"]
    assert row.weights == sum(p.numel() for p in made.network.parameters())
    assert row.shapes == (tuple(made.network(pair, told).shape),)


@pytest.mark.parametrize("name", ["tiny", "simple", "compositional"])
def test_shapes_and_counts_are_those_of_a_real_forward(name):
    small = recipe.load(name, ["training.batch=2", "data.crop_frames=24", "cascade.layers=2"])
    frames = registry.find("codecs", small.codec.name)[1].latent_dim, 24
    clip = Clip(torch.ones(2, *frames), torch.zeros(2, 8, 24), torch.zeros(2, 24, 24), torch.zeros(2, 24))
    model = weights.build_model(small, frames[0]).eval()
    ours = rows(small)
    real = {path: module for path, module in model.named_modules() if path in ours and path not in ("agent", "cascade")}
    shapes: dict[str, tuple[int, ...]] = {}
    for path, module in real.items():
        module.register_forward_hook(lambda module, _, output, path=path: shapes.update({path: tuple(output.shape)}))
    model(clip, clip)
    assert len(real) > 5
    for path, module in real.items():
        assert ours[path].weights == sum(p.numel() for p in module.parameters())
        assert ours[path].shapes == (shapes[path],)
    assert ours["model"].weights == sum(p.numel() for p in model.parameters())
    if "discriminator" in ours:
        judge = Discriminator(128).eval()
        assert ours["discriminator"].shapes == (tuple(judge(clip.z_BDT).shape),)


def test_blocks_add_up_to_what_they_are_part_of():
    found = rows(recipe.load("masking"))
    for whole, parts in {
        "model": ["agent", "cascade"],
        "agent": ["agent.encoders.0", "agent.encoders.1", "agent.look", "agent.heads.0", "agent.heads.1"],
        "cascade": ["cascade.stages.0", "cascade.stages.1"],
        "discriminator": ["discriminator.convolutions", "discriminator.head"],
    }.items():
        assert found[whole].weights == sum(found[part].weights for part in parts)


def test_tables_that_are_kept_for_later_have_content_afterwards():
    mel_filters.cache_clear()
    outline(recipe.load("tiny"))
    outline(recipe.load("masking"))
    codec = registry.build("codecs", "mel", {})
    assert codec.encode(0.1 * torch.ones(1, 1, 3200)).device.type == "cpu"
    assert float(mel_filters(24_000, 1280, 128).sum()) > 0

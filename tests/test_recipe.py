import dataclasses

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from powermuse import recipe
from powermuse.recipe import CascadeRecipe, Choice, Recipe, TrainingRecipe
from powermuse.types import BadInput

PLAIN = Recipe("mine")


def mine(*overrides: str) -> Recipe:
    return recipe.parse("name: mine", "recipe mine", list(overrides))


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("training.batch=4", dataclasses.replace(PLAIN, training=TrainingRecipe(batch=4))),
        ("training.learning_rate=1", dataclasses.replace(PLAIN, training=TrainingRecipe(learning_rate=1.0))),
        ("training.learning_rate=1e-3", dataclasses.replace(PLAIN, training=TrainingRecipe(learning_rate=0.001))),
        ("cascade.rms_scaling=false", dataclasses.replace(PLAIN, cascade=CascadeRecipe(rms_scaling=False))),
        ("cascade={stages: 1, layers: 4}", dataclasses.replace(PLAIN, cascade=CascadeRecipe(stages=1, layers=4))),
        ("codec.name=mdct", dataclasses.replace(PLAIN, codec=Choice("mdct"))),
        ("codec.options.phase_steps=8", dataclasses.replace(PLAIN, codec=Choice("mel", {"phase_steps": 8}))),
        ("codec.options={a: [1, x]}", dataclasses.replace(PLAIN, codec=Choice("mel", {"a": [1, "x"]}))),
        ("name=yours", dataclasses.replace(PLAIN, name="yours")),
        (
            "tracking.uri=sqlite:///a=b.db",
            dataclasses.replace(PLAIN, tracking=recipe.TrackingRecipe(uri="sqlite:///a=b.db")),
        ),
        ("weights.gan=1", dataclasses.replace(PLAIN, weights={"gan": 1.0})),
        ("weights.gan=1e-3", dataclasses.replace(PLAIN, weights={"gan": 0.001})),
        ("weights.mask.balance=15", dataclasses.replace(PLAIN, weights={"mask.balance": 15.0})),
        ("weights={mask.balance: 15}", dataclasses.replace(PLAIN, weights={"mask.balance": 15.0})),
    ],
)
def test_an_override_changes_its_setting_and_nothing_else(override, expected):
    assert mine(override) == expected


@pytest.mark.parametrize(
    ("override", "kind"),
    [("training.batch=4", int), ("training.learning_rate=1", float), ("cascade.ffn_multiple=2", float)],
)
def test_numbers_get_the_type_of_their_setting(override, kind):
    group, setting = override.split("=")[0].split(".")
    assert type(getattr(getattr(mine(override), group), setting)) is kind
    assert type(mine("weights.gan=1").weights["gan"]) is float


def test_weights_of_one_family_stand_beside_each_other_under_their_dotted_names():
    text = "name: mine\nweights: {mask.balance: 15, mask.overlap: 10}"
    found = recipe.parse(text, "mine", ["weights.mask.balance=5", "weights.mask=0.1"])
    assert found.weights == {"mask.balance": 5.0, "mask.overlap": 10.0, "mask": 0.1}


def test_the_last_override_wins_over_the_others_and_over_the_file():
    found = recipe.parse("name: mine\ntraining: {batch: 2, seed: 7}", "mine", ["training.batch=3", "training.batch=4"])
    assert (found.training.batch, found.training.seed) == (4, 7)


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("nope=1", "nope"),
        ("training.nope=1", "nope"),
        ("codec.nope=1", "nope"),
        ("training.batch=4.5", "batch"),
        ("training.batch=four", "batch"),
        ("training.batch=true", "batch"),
        ("training.learning_rate=fast", "learning_rate"),
        ("training.precision=16", "precision"),
        ("data.pairing=random", "pairing"),
        ("cascade.rms_scaling=2", "rms_scaling"),
        ("weights.gan=much", "weights"),
        ("weights.gan=true", "weights"),
        ("weights.gan=", "weights"),
        ("weights=5", "weights"),
        ("codec=mdct", "codec"),
        ("training=5", "training"),
        ("name.first=me", "name"),
        ("name=5", "name"),
        ("training.batch", "key=value"),
        ("=4", "key=value"),
        ("training.batch=[", "training.batch"),
    ],
)
def test_what_a_recipe_does_not_know_is_refused_in_one_line_that_names_it(override, named):
    with pytest.raises(BadInput, match=named) as refusal:
        mine(override)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "setting", ["training.batch", "training.learning_rate", "data.pairing", "cascade.rms_scaling", "weights"]
)
def test_a_setting_without_a_value_is_refused(setting):
    with pytest.raises(BadInput, match=setting.split(".")[-1]):
        mine(f"{setting}=")


def test_how_a_text_is_emptied_is_told():
    with pytest.raises(BadInput, match='begin_from has no value; the empty one is ""'):
        mine("training.begin_from=")
    assert mine('training.begin_from=""').training.begin_from == ""


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "a mapping is wanted"),
        ("- name", "a mapping is wanted"),
        ("name: [", "not valid YAML"),
        ("training: {batch: 4}", "name"),
        ("name: mine\ntraining:", "training is a group of settings, not None"),
        ("name: mine\ncodec: mel", "codec is a group of settings, not 'mel'"),
        ("name: mine\nweights: {mask: {balance: 3}}", "weights"),
        ("name: mine\n5: 3", "5"),
        ("name: !!python/object/apply:os.getcwd []", "not valid YAML"),
    ],
)
def test_a_text_that_is_no_recipe_is_refused_in_one_line_that_names_it(text, reason):
    with pytest.raises(BadInput, match=reason) as refusal:
        recipe.parse(text, "recipe mine.yaml")
    assert str(refusal.value).startswith("recipe mine.yaml: ")
    assert "\n" not in str(refusal.value)


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
RECIPES = st.builds(
    Recipe,
    name=WORDS,
    codec=st.builds(Choice, WORDS, st.dictionaries(WORDS, st.integers() | NUMBERS | WORDS | st.booleans(), max_size=3)),
    cascade=st.builds(CascadeRecipe, stages=st.integers(), dropout=NUMBERS, rms_scaling=st.booleans()),
    training=st.builds(TrainingRecipe, learning_rate=NUMBERS, precision=st.sampled_from(["32-true", "bf16-mixed"])),
    weights=st.dictionaries(WORDS, NUMBERS, max_size=4),
)


@settings(max_examples=60)
@given(RECIPES)
@example(Recipe("null", codec=Choice("1e3", {"yes": "no", "0x10": "1_000"}), weights={"1": 1e-5, "a.b": 2.0}))
def test_a_recipe_written_as_yaml_is_read_back_the_same(made):
    assert recipe.parse(recipe.dump(made), "dumped") == made


def test_a_recipe_is_loaded_from_a_file_with_overrides(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\ntraining: {batch: 2, learning_rate: 1e-3}\nweights: {mask.balance: 5}\n")
    found = recipe.load(str(path), ["training.batch=16"])
    assert found.training == TrainingRecipe(batch=16, learning_rate=0.001)
    assert found.weights == {"mask.balance": 5.0}


def test_an_error_in_a_file_names_the_file(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\ntraining: {btach: 2}\n")
    with pytest.raises(BadInput, match=r"mine\.yaml.*btach"):
        recipe.load(str(path))


def test_a_file_that_is_not_text_is_refused(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_bytes(b"name: m\xfcnchen\n")
    with pytest.raises(BadInput, match=r"mine\.yaml"):
        recipe.load(str(path))


@pytest.mark.parametrize("wanted", ["", "nope", "missing.yaml", "."])
def test_a_recipe_that_is_not_there_is_refused_with_those_that_are(wanted, monkeypatch):
    monkeypatch.setattr(recipe, "shipped", lambda: ["simple", "tiny"])
    with pytest.raises(BadInput, match="shipped: simple, tiny") as refusal:
        recipe.load(wanted)
    assert repr(wanted) in str(refusal.value)


def test_every_shipped_recipe_is_loaded_under_its_own_name():
    assert recipe.shipped()
    for name in recipe.shipped():
        assert recipe.load(name).name == name


def test_one_recipe_never_changes_another():
    mine("codec.options.a=1", "weights.gan=1")
    assert mine() == PLAIN == Recipe("mine", Choice("mel", {}), weights={})

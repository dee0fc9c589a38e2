"""What the blend has of its sources: a copy, a sum, nothing, a copied loudness contour.

The similarities are |cosine| per frame, without the training set's channel means. Their thresholds depend on the codec.
Measured with mel by `python bench/similarity.py DATASET` on 64 pairs of held-out songs, crops of 192 frames, shuffled:
another clip .35 (.49 where the pairs are consecutive windows), plain sum .66 and .69, a mix of 75 % and 25 % .92 and
.44, a copy 1, a copy through noise at 20, 10 and 6 dB .99, .93 and .85, noise .07.
"""

from powermuse.training.doctor.record import NotChecked, Record
from powermuse.training.doctor.verdicts import Ill, Rule, raised, setting

LEARNED_STEPS = 100
"""The prototype's masks were settled within 100 steps (measured); before that a run shows its initialisation."""
COPY = 0.9
"""Similarity to one source: between a copy through noise at 10 dB (.93) and one at 6 dB (.85)."""
ALIKE = 0.9
"""Sources as similar as this have no copy that could be told from a blend."""
SUM = 0.9
"""Similarity to the plain sum. Measured: untrained .89, the starter (a mix) .96, 60 % and 40 % .98, 75 % and 25 % .89,
masks that separate .73, a fixed split of the channels .69."""
RANDOM = 0.42
"""Mean of both similarities, which is novelty's cost. Measured: a third clip .36 to .40, noise .07, a fixed split of
the channels .47, a plain sum .67."""
MODULATION_EXP = 2.0
"""The prototype's authors: over 2 after 20 epochs an envelope is copied. An equal mix has about 2.0, a copy 6.9."""
MODULATION = 0.75
"""The same as c^2: -ln(1 - c) = 2 at c = .865."""
MODULATION_EPOCHS = 20


def copying(record: Record) -> Ill | str:
    """A blend that is one of its sources."""
    if record.recipe.data.pairing == "unity":
        raise NotChecked("unity pairs ask for a copy")
    record.after_steps(LEARNED_STEPS)
    if record.now("similarity.sources") > ALIKE:
        raise NotChecked("groove and harmony are alike, so that a copy of one is a blend of both")
    sides = {side: record.now(f"similarity.{side}") for side in ("groove", "harmony")}
    copied = max(sides, key=lambda side: sides[side])
    other = "harmony" if copied == "groove" else "groove"
    found = f"similarity {sides[copied]:.2f} to the {copied}, {sides[other]:.2f} to the {other}"
    if sides[copied] <= COPY:
        return f"{found}; at most {COPY:g}"
    settings = [raised(record, "novelty", 0.3)]
    if record.recipe.agent.name == "fixed":
        settings = ["agent.name=masking", "agent.options={}", *settings]
    for kind in ("latent", "rms", "stft", "mel"):
        if record.weight(f"{kind}.{copied}") > record.weight(f"{kind}.{other}"):
            settings.append(setting(f"weights.{kind}.{other}", record.weight(f"{kind}.{copied}")))
    return Ill(
        f"{found}: a copy of the {copied} (over {COPY:g})",
        "weight novelty, and both sources alike",
        tuple(settings),
    )


def plain_sum(record: Record) -> Ill | str:
    """A blend that is no more than both sources at once."""
    if record.recipe.data.pairing == "unity":
        raise NotChecked("unity pairs ask for a copy")
    record.after_steps(LEARNED_STEPS)
    if record.now("similarity.sources") > ALIKE:
        raise NotChecked("groove and harmony are alike: each blend of them is near their sum")
    similarity = record.now("similarity.sum")
    if similarity <= SUM:
        return f"similarity {similarity:.2f} to the plain sum, at most {SUM:g}"
    agent, stages = record.recipe.agent.name, record.recipe.cascade.stages
    settings = [raised(record, "novelty", 0.2)]
    if agent == "masking" and record.option("form", "claims") == "claims":
        settings = [*separating(record), *settings]
    elif agent == "compositional":
        settings.append(setting("agent.options.composer_layers", record.option("composer_layers", 4) + 2))
    if stages < 2:
        settings.append("cascade.stages=2")
    return Ill(
        f"similarity {similarity:.2f} to the plain sum of the sources, over {SUM:g}: it mixes, it does not compose",
        "let masks divide the clips, compose in more layers, or punish likeness",
        tuple(settings),
    )


def separating(record: Record) -> list[str]:
    """The settings of the recipe `separation`, where they are not already there."""
    settings = [] if record.option("form") == "split" else ["agent.options.form=split"]
    wanted = {"onsets.groove": 1.0, "onsets.harmony": 1.0, "clip_balance": 5.0, "channel_balance": 1.0}
    short = [f"mask.{name}" for name, weight in wanted.items() if record.weight(f"mask.{name}") < weight]
    settings += [setting(f"weights.{name}", wanted[name.removeprefix("mask.")]) for name in short]
    return settings


def too_random(record: Record) -> Ill | str:
    """A blend that has nothing of either source."""
    record.after_steps(LEARNED_STEPS)
    mean = 0.5 * (record.now("similarity.groove") + record.now("similarity.harmony"))
    if mean >= RANDOM:
        return f"mean similarity {mean:.2f} to the sources, at least {RANDOM:g}"
    less = {name: 0.05 for name in ("novelty", "component.novelty") if record.weight(name) > 0.05}
    more = {f"latent.{side}": max(0.3, 2 * record.weight(f"latent.{side}")) for side in ("groove", "harmony")}
    return Ill(
        f"mean similarity {mean:.2f} to the sources, under {RANDOM:g}: the blend has nothing of either",
        "ask for less novelty and for more of the sources",
        tuple(setting(f"weights.{name}", weight) for name, weight in {**less, **more}.items()),
    )


def modulation(record: Record) -> Ill | str:
    """A loudness contour that is copied, where the recipe weighs that."""
    bounds = {"modulation_exp": MODULATION_EXP, "modulation": MODULATION}
    names = {f"{kind}.{side}": bound for kind, bound in bounds.items() for side in ("groove", "harmony")}
    logged = {name: bound for name, bound in names.items() if name in record.train or name in record.val}
    if not logged:
        raise NotChecked("no modulation term is in the log; one is where it has a weight (crops of 8 s)")
    record.after_epochs(MODULATION_EPOCHS)
    costs = {name: record.now(name) for name in logged}
    over = [name for name, cost in costs.items() if cost > logged[name]]
    if not over:
        return ", ".join(f"{name} {cost:.2f}, at most {logged[name]:g}" for name, cost in costs.items())
    return Ill(
        "; ".join(f"{name} is {costs[name]:.2f}, over {logged[name]:g}" for name in over) + ": an envelope is copied",
        "weigh it more; the groove's contour is also its rhythm, which you may want",
        tuple(raised(record, name, 1.0) for name in over),
    )


RULES = (
    Rule("copying one source", copying),
    Rule("novelty: a plain sum", plain_sum),
    Rule("novelty: too random", too_random),
    Rule("modulation", modulation),
)

"""The compositional agent's selector and its six components."""

from powermuse.training.doctor.record import NotChecked, Record
from powermuse.training.doctor.verdicts import Ill, Rule, raised, setting

EVEN = 0.05
"""How near to 1/6 all six mean weights must be to count as undecided. Measured on small ones: untrained within 0.03."""
DECIDED = 0.1
"""1 - entropy of the weights over ln 6, per frame: a selector that changes its mind with the music has even means and
is decided all the same. Measured: 0.01 to 0.02 untrained, 0.3 to 0.5 after 50 to 100 steps that learned."""
UNUSED = 0.02
"""Mean weight of a component: an eighth of its even share."""
UNUSED_SIDE = 0.1
"""Sum of the weights of one clip's three components: a fifth of its half."""
EPOCHS = 15
"""The prototype's authors: decided by epoch 15 to 20."""
PARTS = ("rhythm", "harmony", "timbre")
"""Components of each clip."""


def selector(record: Record) -> Ill | str:
    """Weights that all stay at a sixth."""
    weights, decided = _weights(record), record.now("component.decided")
    record.after_epochs(EPOCHS)
    spread = max(abs(weight - 1 / 6) for weight in weights.values())
    found = f"component weights within {spread:.3f} of 1/6, decided {decided:.2f}"
    if spread >= EVEN or decided >= DECIDED:
        return f"{found}; over {EVEN:g} or {DECIDED:g}"
    training = record.recipe.training
    settings = [f"training.pairs={2 * training.pairs}", f"training.batch={max(32, training.batch)}"]
    if training.learning_rate < 1e-4:
        settings.append("training.learning_rate=0.0001")
    return Ill(
        f"{found}, under {EVEN:g} and {DECIDED:g}: the selector does not learn",
        "train longer in larger batches, with more weight on spectra",
        (*settings, *(raised(record, f"stft.{side}", 0.02) for side in ("groove", "harmony"))),
    )


def unused(record: Record) -> Ill | str:
    """Components that nothing is taken from."""
    weights = _weights(record)
    record.after_epochs(EPOCHS)
    sides = {side: sum(weights[f"{side}.{part}"] for part in PARTS) for side in ("groove", "harmony")}
    least_side = min(sides, key=lambda side: sides[side])
    if sides[least_side] < UNUSED_SIDE:
        return Ill(
            f"all components of the {least_side} together weigh {sides[least_side]:.3f}, under {UNUSED_SIDE:g}",
            "weigh the balance of the sources",
            (raised(record, "component.balance", 1.0),),
        )
    idle = [name for name, weight in weights.items() if weight < UNUSED]
    if not idle:
        least = min(weights, key=lambda name: weights[name])
        return f"the least used component, {least}, weighs {weights[least]:.3f}, at least {UNUSED:g}"
    width = record.option("width", 64)
    return Ill(
        f"unused components (weight under {UNUSED:g}): " + ", ".join(f"{name} {weights[name]:.4f}" for name in idle),
        "weigh the balance of the sources; where the blend pleases, leave them out by a narrower agent",
        (raised(record, "component.balance", 1.0), setting("agent.options.width", max(8, width // 2))),
    )


def _weights(record: Record) -> dict[str, float]:
    if record.recipe.agent.name != "compositional":
        raise NotChecked(f"the agent {record.recipe.agent.name} has no components")
    names = [f"{side}.{part}" for side in ("groove", "harmony") for part in PARTS]
    return {name: record.now(f"component.{name}.weight") for name in names}


RULES = (Rule("selector", selector), Rule("unused components", unused))

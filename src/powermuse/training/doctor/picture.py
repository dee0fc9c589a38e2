"""The curves that the doctor's rules look at, with their thresholds."""

import io
from pathlib import Path
from typing import Any, NamedTuple

from powermuse.training.doctor import Diagnosis, components, duel, level, masks, sources, steps
from powermuse.training.doctor.record import Curve, NotChecked, Record, finite
from powermuse.types import BadInput


class Panel(NamedTuple):
    """Curves that share an axis, and the thresholds drawn across it."""

    title: str
    names: tuple[str, ...]
    thresholds: tuple[float, ...] = ()
    logarithmic: bool = False


_PANELS = (
    Panel("gradient norm", ("grad_norm",), (steps.VANISHED_NORM, steps.EXPLODING_NORM), True),
    Panel("scale factors", ("scale.0", "scale.1", "scale.2", "level.residual_scale"), (steps.MOST_SCALE,)),
    Panel(
        "similarity of the blend",
        tuple(f"similarity.{name}" for name in ("groove", "harmony", "sum", "sources")),
        (sources.RANDOM, sources.COPY),
    ),
    Panel(
        "modulation",
        tuple(f"{kind}.{side}" for kind in ("modulation", "modulation_exp") for side in ("groove", "harmony")),
        (sources.MODULATION, sources.MODULATION_EXP),
    ),
    Panel("masks", ("separation", "content_share", "swap_response"), (masks.DEAF, masks.CONSTANT, masks.FIXED)),
    Panel(
        "mask means", ("balance.groove", "balance.harmony"), (0.5 - masks.OFF_BALANCE, 0.5 + masks.OFF_BALANCE)
    ),
    Panel(
        "component weights",
        tuple(f"component.{side}.{part}.weight" for side in ("groove", "harmony") for part in components.PARTS),
        (components.UNUSED, 1 / 6),
    ),
    Panel(
        "discriminator",
        ("adversary.right_of_real", "adversary.right_of_fake", "adversary.loss"),
        (*duel.ASLEEP_LOSS, duel.WON, duel.CONFUSED_LOSS),
    ),
    Panel("level of the blend", ("level.ratio",), level.RATIO),
)  # fmt: skip


def check_writable(out: str) -> None:
    """Raises BadInput, before any work, where the picture could not be written."""
    if Path(out).suffix.lower() != ".png":
        raise BadInput(f"{out}: a picture is written as .png")
    if Path(out).is_dir():
        raise BadInput(f"{out}: is a directory; name a file in it")
    if not Path(out).absolute().parent.is_dir():
        raise BadInput(f"{out}: there is no directory {Path(out).absolute().parent}")


def draw(diagnosis: Diagnosis) -> bytes:
    """One PNG: the loss and every group of curves that the run logged; dashed lines are the rules' thresholds, thick
    lines the validation."""
    from matplotlib.figure import Figure

    record = diagnosis.record
    panels = [panel for panel in _PANELS if any(_known(record, name) for name in panel.names)]
    rows = -(-(len(panels) + 1) // 2)
    figure = Figure(figsize=(12, 2.6 * rows + 0.6), layout="constrained")
    axes = figure.subplots(rows, 2, squeeze=False).flatten()
    _draw_loss(axes[0], record)
    for axis, panel in zip(axes[1:], panels, strict=False):
        _draw_panel(axis, record, panel)
    for axis in axes[len(panels) + 1 :]:
        axis.set_visible(False)
    ill = ", ".join(verdict.rule for verdict in diagnosis.of("ill"))
    figure.suptitle(f"{record.recipe.name}, {record.seen} pairs    {ill or 'nothing wrong'}", parse_math=False)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=90)
    return content.getvalue()


def _draw_loss(axis: Any, record: Record) -> None:
    for split in ("train", "val"):
        try:
            curve = record.loss(split)
        except NotChecked:
            continue
        axis.plot(curve.seen, curve.values, label=split, **_style(split))
    axis.set(title="loss (without gan and targets)", xlabel="pairs")
    _legend(axis)


def _draw_panel(axis: Any, record: Record, panel: Panel) -> None:
    for i, name in enumerate(panel.names):
        for split, curves in (("train", record.train), ("val", record.val)):
            if name in curves:
                label = name if split == "val" or name not in record.val else None
                axis.plot(*curves[name], color=f"C{i}", label=label, **_style(split))
    for threshold in panel.thresholds:
        axis.axhline(threshold, color="grey", linestyle="--", linewidth=0.8)
    if panel.logarithmic:
        axis.set_yscale("log", nonpositive="clip")
    axis.set(title=panel.title, xlabel="pairs")
    _legend(axis)


def _known(record: Record, name: str) -> bool:
    empty = Curve((), ())
    return any(finite(curves.get(name, empty).values) for curves in (record.train, record.val))


def _legend(axis: Any) -> None:
    if axis.get_legend_handles_labels()[0]:
        axis.legend(fontsize="x-small")


def _style(split: str) -> dict[str, Any]:
    """Thin lines of training; of validations, which may be a single one, the points as well."""
    return {"linewidth": 0.7} if split == "train" else {"linewidth": 1.8, "marker": "."}

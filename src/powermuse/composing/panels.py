"""What passed from the clips to a blend, as panels of its picture: masks, or rhythm and chords, and what notes came."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from powermuse.composing.composer import Blend
from powermuse.data.rolls import LOW_PITCH
from powermuse.metrics import chords

_COLUMNS = 2000
"""A picture is not wider: of more frames each column is the largest of a few."""
_FAINT = 0.1
"""Notes that nowhere come as high a probability do not widen the range that is shown."""
_LETTER = 0.006
"""Width of a letter in shares of the panel's, generously: a chord's name is left out where it does not fit."""
_SHORT = {"maj": "", "min": "m", "min7": "m7"}


class Panel(NamedTuple):
    """A panel: how high it is beside the others, and what draws it on an axis, of a blend of so many seconds."""

    height: float
    draw: Callable[[Any, Blend, float], None]


def of(blend: Blend) -> list[Panel]:
    """The panels that there is something for, from the top; a word about it where there is nothing."""
    if blend.masks is not None:
        return [Panel(1.3, _draw_masks)]
    known = (
        (blend.rhythm_RT, Panel(0.7, _draw_rhythm)),
        (blend.chords, Panel(0.35, _draw_chords)),
        (blend.notes_QN, Panel(1.7, _draw_notes)),
    )
    return [panel for told, panel in known if told is not None] or [Panel(1.3, _draw_nothing)]


def _draw_masks(axis: Any, blend: Blend, seconds: float) -> None:
    """Who owns each channel at each moment: the groove's mask minus the harmony's."""
    assert blend.masks is not None
    groove_DT, harmony_DT = blend.masks
    step = max(1, groove_DT.shape[1] // _COLUMNS)
    _image(axis, (groove_DT - harmony_DT)[:, ::step], seconds, cmap="RdBu_r", vmin=-1)
    axis.set_ylabel("masks, channel\n(red: groove,\nblue: harmony,\nwhite: equal)")


def _draw_rhythm(axis: Any, blend: Blend, seconds: float) -> None:
    assert blend.rhythm_RT is not None
    bands = len(blend.rhythm_RT) - 1
    _image(axis, _thinned(blend.rhythm_RT), blend.rhythm_RT.shape[1] * blend.frame_s, cmap="Greys")
    axis.axhline(bands, color="tab:orange", linewidth=0.8)
    axis.set(ylabel="rhythm", yticks=[0.5, bands - 0.5, bands + 0.5], yticklabels=["low", "high", "level"])


def _draw_chords(axis: Any, blend: Blend, seconds: float) -> None:
    """Neighbours in the circle of fifths have neighbouring colours."""
    from matplotlib.colors import hsv_to_rgb

    assert blend.chords is not None
    begins_s, ends_s = blend.chords.intervals_s.T
    roots = [chords.meaning(label).root for label in blend.chords.labels]
    colours = [hsv_to_rgb((7 * root % 12 / 12, 0.35 if root >= 0 else 0.0, 0.95)) for root in roots]
    axis.broken_barh(np.stack([begins_s, ends_s - begins_s], axis=1), (0, 1), facecolors=colours, edgecolor="white")
    for begin_s, end_s, label in zip(begins_s, np.minimum(ends_s, seconds), blend.chords.labels, strict=True):
        name = short(label)
        if end_s - begin_s > (1 + len(name)) * _LETTER * seconds:
            axis.text((begin_s + end_s) / 2, 0.5, name, ha="center", va="center", fontsize="small", clip_on=True)
    axis.set(ylabel="chords", yticks=[], ylim=(0, 1))


def short(label: str) -> str:
    """A chord's label as it is written above a staff: C, Am7, F#dim; N where there is none."""
    root, _, quality = label.partition(":")
    return root + _SHORT.get(quality, quality)


def _draw_notes(axis: Any, blend: Blend, seconds: float) -> None:
    """A piano roll of the probabilities, from the lowest to the highest note that may be meant, and where notes are
    struck."""
    assert blend.notes_QN is not None
    meant = np.flatnonzero(blend.notes_QN.max(axis=1) > _FAINT)
    low, high = (max(0, meant[0] - 2), min(87, meant[-1] + 2)) if len(meant) else (0, 87)
    rows_QN = _thinned(blend.notes_QN[low : high + 1])
    _image(axis, rows_QN, blend.notes_QN.shape[1] * blend.token_s, cmap="magma_r", bottom=low)
    if blend.score is not None:
        struck_QN = blend.score[1][low : high + 1]
        rows, tokens = np.nonzero(struck_QN)
        axis.plot(tokens * blend.token_s, low + rows + 0.5, "|", color="tab:cyan", markersize=3)
    octaves = [row for row in range(3, 88, 12) if low <= row <= high]  # row 3 is C1
    axis.set(ylabel="notes,\nprobability", yticks=[row + 0.5 for row in octaves])
    axis.set_yticklabels([f"C{(row + LOW_PITCH) // 12 - 1}" for row in octaves])


def _draw_nothing(axis: Any, blend: Blend, seconds: float) -> None:
    axis.text(0.5, 0.5, "this agent has no masks", transform=axis.transAxes, ha="center")
    axis.set(ylabel="masks", yticks=[])


def _image(axis: Any, rows_RT: np.ndarray, seconds: float, cmap: str, vmin: float = 0.0, bottom: int = 0) -> None:
    axis.imshow(
        rows_RT, origin="lower", aspect="auto", cmap=cmap, vmin=vmin, vmax=1,
        extent=(0, seconds, bottom, bottom + len(rows_RT)), interpolation="nearest",
    )  # fmt: skip


def _thinned(rows_RT: np.ndarray) -> np.ndarray:
    """The largest of every few columns, so that at most about 2,000 are left and no stroke is lost."""
    return np.maximum.reduceat(rows_RT, np.arange(0, rows_RT.shape[1], -(-rows_RT.shape[1] // _COLUMNS)), axis=1)

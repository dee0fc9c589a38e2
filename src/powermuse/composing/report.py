"""What there is to say about a blend: figures, provenance, one picture. The numbers judge; nothing is embellished."""

import io
import json
import warnings
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from powermuse import disk
from powermuse.audio import clips, features, files
from powermuse.audio.spectra import hz_to_mel, mel_filters, power_spectrum
from powermuse.composing import alignment, formats, notes, panels, verdict
from powermuse.composing.composer import Blend, Sound, report_paths
from powermuse.composing.formats import Form
from powermuse.metrics import rhythm
from powermuse.metrics.chords import Chords
from powermuse.types import BadInput

_SEAM_S = 0.005
_INCHES = 13 / 9.7
"""Of a panel of height 1."""
_TICKS_HZ = (200.0, 1000.0, 3000.0, 8000.0)


def write(
    blend: Blend,
    out: str,
    *,
    midi: bool = False,
    request: str = "",
    form: Form = formats.AS_IT_IS,
    asked: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Writes the wave, its JSON, its picture and, where wanted, its MIDI file: all or none. Returns the report, with
    what was `asked` for, by which it can be made again, and the `request` that it answers where there is one.

    Raises BadInput where MIDI is wanted of a composer that tells no notes, and basic-pitch is not installed.
    """
    report = {**describe(blend), "file": formats.told(blend, form), **({"request": request} if request else {})}
    report |= {"asked": asked} if asked else {}
    written = notes.written(blend) if midi else None
    if written is not None:
        report |= {"notes": len(written.notes), "notes_by": written.by}
    wav_CN, rate_hz = formats.written(blend, form)
    report_file, picture_file = report_paths(out)
    midi_file = notes.midi_path(out)
    outdated = not midi and "midi" in read(out).get("blend", {})
    named = {"file": Path(out).name, **({"midi": midi_file.name} if midi else {})}
    told = {**report, "blend": {**named, **report["blend"]}}
    disk.write_all(
        {
            # Last to get its name is the first: until the report is there, what was made before counts as it was.
            report_file: json.dumps(told, indent=1).encode(),
            Path(out): files.encoded(wav_CN, rate_hz, out),
            picture_file: draw(blend, report),
            **({midi_file: _midi(blend, written.notes)} if written is not None else {}),
        }
    )
    if outdated:
        midi_file.unlink(missing_ok=True)  # the notes of the blend that was here
    return report


def _midi(blend: Blend, played: list[notes.Note]) -> bytes:
    bars = None if blend.alignment is None else blend.alignment.bars
    return notes.midi(played, blend.wav_CN.shape[1] / blend.sample_rate_hz, bars)


def check_free(out: str, *, midi: bool = False) -> None:
    """Raises BadInput, before any work, where a file beside the wave would replace one that an earlier compose did not
    write there."""
    report_file, picture_file = report_paths(out)
    midi_file = notes.midi_path(out)
    earlier = read(out)
    if Path(out).exists() and not earlier:
        raise BadInput(f"{out}: exists, and is no blend that was composed there; name another file with -o")
    other = Path(out).with_name(earlier.get("blend", {}).get("file", Path(out).name))
    if other.name != Path(out).name and other.exists():
        raise BadInput(f"{report_file}: is the report of {other.name}; name another file with -o")
    own = {report_file, picture_file} if earlier else set()
    if "midi" in earlier.get("blend", {}):
        own.add(midi_file)
    for path in (report_file, picture_file, *((midi_file,) if midi else ())):
        if path.exists() and path not in own:
            kind = "MIDI" if path == midi_file else "report"
            raise BadInput(
                f"{path}: exists, and the {kind} of {Path(out).name} would replace it; name another file with -o"
            )


def _chords(told: Chords) -> list[list[Any]]:
    """Begin and end in seconds, and name, of each chord of the harmony code."""
    spans = zip(told.intervals_s.tolist(), told.labels, strict=True)
    return [[round(begin, 2), round(end, 2), label] for (begin, end), label in spans]


def read(out: str | Path) -> dict[str, Any]:
    """The report beside a blend; empty where there is none."""
    try:
        told = json.loads(report_paths(out)[0].read_text())
        return told if isinstance(told, dict) and isinstance(told.get("blend"), dict) and "powermuse" in told else {}
    except (OSError, ValueError, TypeError):
        return {}


def describe(blend: Blend) -> dict[str, Any]:
    """The report as plain values: levels, masks, rhythm, seams, how many notes, and where everything came from."""
    groove, harmony = (_rhythm(blend, sound) for sound in (blend.groove, blend.harmony))
    played = notes.played(blend)
    wanted = np.sqrt((clips.rms(blend.groove.wav_CN) ** 2 + clips.rms(blend.harmony.wav_CN) ** 2) / 2)
    return {
        "blend": {
            "seconds": round(blend.wav_CN.shape[1] / blend.sample_rate_hz, 3),
            "sample_rate_hz": blend.sample_rate_hz,
            "level_db": round(clips.level_db(blend.wav_CN), 2),
            "peak": round(float(np.abs(blend.wav_CN).max()), 4),
            "rms_ratio": round(clips.rms(blend.wav_CN) / max(float(wanted), 1e-9), 4),
            "gain": round(blend.gain, 4),
            "level_held_back": blend.limited,
            "loops": blend.loop_s is not None,
            "seam_click": seam_click(blend),
        },
        "agent": {name: round(value, 4) for name, value in blend.stats.items()},
        "rhythm": {
            "groove": _rounded(groove._asdict()),
            "harmony": _rounded(harmony._asdict()),
            "balance": rhythm.balance(groove.onset_correlation_adjusted, harmony.onset_correlation_adjusted),
        },
        **({"chords": _chords(blend.chords)} if blend.chords is not None else {}),
        **({"alignment": alignment.told(blend.alignment)} if blend.alignment else {}),
        **({"taken": taken} if (taken := verdict.evaluate(blend)) else {}),
        "groove": _provenance(blend.groove),
        "harmony": _provenance(blend.harmony),
        "model": {
            "name": blend.model.source,
            "recipe": blend.model.recipe.name,
            "codec": blend.model.recipe.codec.name,
            "agent": blend.model.recipe.agent.name,
            "weights_sha256": blend.model.sha256,
            "weights_licence": blend.model.licence,
        },
        "seed": blend.seed,
        **({"orchestration": blend.orchestration} if blend.orchestration else {}),
        **({"notes": len(played)} if played is not None else {}),
        "powermuse": version("powermuse"),
    }


def seam_click(blend: Blend) -> float | None:
    """The largest jump (second difference) within 5 ms of a window's border over the largest elsewhere: about 1 or
    less where no border clicks. None for a piece of one window."""
    if not blend.seams_frames:
        return None
    jump = np.abs(np.diff(blend.wav_CN[0], n=2))
    near = np.zeros(len(jump), dtype=bool)
    reach = round(_SEAM_S * blend.sample_rate_hz)
    for seam in blend.seams_frames:
        at = seam * blend.hop_samples
        near[max(0, at - reach) : at + reach] = True
    return round(float(jump[near].max(initial=0.0) / max(float(jump[~near].max(initial=0.0)), 1e-9)), 3)


def draw(blend: Blend, report: dict[str, Any]) -> bytes:
    """One PNG: spectrograms of groove, harmony and blend, over time masks or whatever else passed, waveforms and onset
    envelopes."""
    from matplotlib.figure import Figure

    passed = panels.of(blend)
    heights = [2, 2, 2, *(panel.height for panel in passed), 1.2, 1.2]
    figure = Figure(figsize=(12, _INCHES * sum(heights)), layout="constrained")
    axes = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
    seconds = blend.wav_CN.shape[1] / blend.sample_rate_hz
    sounds = {"groove": blend.groove.wav_CN, "harmony": blend.harmony.wav_CN, "blend": blend.wav_CN}
    draw_spectrograms(axes[:3], sounds, blend.sample_rate_hz)
    for axis, panel in zip(axes[3:], passed, strict=False):
        panel.draw(axis, blend, seconds)
    *_, waves, onsets = axes
    for offset, (name, wav_CN) in enumerate(sounds.items()):
        _draw_wave(waves, wav_CN[0], seconds, -offset, name)
        curve = _onsets(wav_CN)
        time_s = np.arange(len(curve)) / features.FRAME_RATE_HZ
        onsets.plot(time_s, curve / max(float(curve.max()), 1e-9) - offset, linewidth=0.7, label=name)
    waves.set(ylabel="waveform", yticks=[])
    onsets.set(ylabel="onset\nenvelope", yticks=[], xlabel="seconds", xlim=(0, seconds))
    waves.legend(loc="upper right", fontsize="small", ncols=3)
    figure.suptitle(_title(report), parse_math=False)
    return png(figure)


def draw_spectrograms(axes: Iterable[Any], sounds: dict[str, np.ndarray], sample_rate_hz: int) -> None:
    """Mel spectrograms of sounds [1, N] by name, one on each axis, in dB on one scale."""
    for axis, (name, wav_CN) in zip(axes, sounds.items(), strict=True):
        axis.imshow(
            _spectrogram(wav_CN, sample_rate_hz), origin="lower", aspect="auto", cmap="magma", vmin=-80, vmax=-10,
            extent=(0, wav_CN.shape[1] / sample_rate_hz, 0, 128), interpolation="nearest",
        )  # fmt: skip
        bands = 128 * hz_to_mel(np.array(_TICKS_HZ)) / hz_to_mel(np.array(sample_rate_hz / 2))
        axis.set(ylabel=f"{name}\nHz", yticks=bands, yticklabels=[f"{hz:g}" for hz in _TICKS_HZ])


def png(figure: Any) -> bytes:
    """A matplotlib figure as the content of a file."""
    content = io.BytesIO()
    with warnings.catch_warnings():  # a name in a script that the font lacks shows as boxes; that is no fault
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure.savefig(content, format="png", dpi=90)
    return content.getvalue()


def _title(report: dict[str, Any]) -> str:
    onset = {side: report["rhythm"][side]["onset_correlation"] for side in ("groove", "harmony")}
    return (
        f"{Path(report['groove']['file']).name}  +  {Path(report['harmony']['file']).name}    "
        f"model {Path(report['model']['name']).name}, seed {report['seed']}    "
        f"onsets of the blend: {onset['groove']:.2f} to the groove, {onset['harmony']:.2f} to the harmony"
    )


def _draw_wave(axis: Any, wav_N: np.ndarray, seconds: float, offset: int, name: str) -> None:
    """Minimum and maximum of each of 2,000 stretches, which is what a waveform looks like at this size."""
    part = max(1, len(wav_N) // 2000)
    parts = wav_N[: len(wav_N) // part * part].reshape(-1, part)
    time_s = np.linspace(0, seconds, len(parts))
    scale = 0.45 / max(float(np.abs(wav_N).max()), 1e-9)
    axis.fill_between(time_s, parts.min(1) * scale + offset, parts.max(1) * scale + offset, linewidth=0, label=name)


def _spectrogram(wav_CN: np.ndarray, sample_rate_hz: int) -> np.ndarray:
    """Mel spectrogram in dB, at most about 2,000 columns."""
    hop = max(320, wav_CN.shape[1] // 2000)
    power = power_spectrum(torch.from_numpy(wav_CN), 2048, hop)[0]
    filters = mel_filters(sample_rate_hz, 2048, 128)
    mel = (filters / filters.sum(1, keepdim=True)) @ power
    return (10 * torch.log10(mel.clamp_min(1e-10))).numpy()


def _onsets(wav_CN: np.ndarray) -> np.ndarray:
    curve: np.ndarray = features.onset_envelope(features.onset_strength(torch.from_numpy(wav_CN)))[0].numpy()
    return curve


def _rhythm(blend: Blend, sound: Sound) -> rhythm.Rhythm:
    return rhythm.evaluate(
        blend.wav_CN[0], sound.wav_CN[0], _onsets(blend.wav_CN), _onsets(sound.wav_CN), blend.sample_rate_hz,
        features.FRAME_RATE_HZ,
    )  # fmt: skip


def _provenance(sound: Sound) -> dict[str, Any]:
    return {
        "file": sound.path,
        "sha256": sound.sha256,
        "seconds": round(sound.seconds, 3),
        "level_db": round(sound.level_db, 2),
        "looped": sound.looped,
    }


def _rounded(values: dict[str, float | None]) -> dict[str, float | None]:
    return {name: None if value is None else round(value, 4) for name, value in values.items()}

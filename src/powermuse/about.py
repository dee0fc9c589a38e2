"""What `powermuse info` and `powermuse codec-check` tell: models, data sets, runs and codecs in plain values."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from powermuse import registry, weights
from powermuse.audio import clips, files
from powermuse.data import shards, triplets
from powermuse.training import checkpoint
from powermuse.types import BadInput


def describe(thing: str) -> dict[str, Any]:
    """What a name or a folder is. Raises BadInput for what is none of model, data set, run and codec."""
    folder = Path(thing)
    if thing in registry.names("codecs"):
        return _codec(thing)
    if (folder / "dataset.json").is_file():
        return _dataset(folder)
    if (folder / "log.jsonl").is_file():
        return _run(folder)
    if thing in weights.shipped_models() or (folder / "model.safetensors").is_file():
        return _model(thing)
    raise BadInput(
        f"{thing!r} is no codec ({', '.join(registry.names('codecs'))}), "
        f"no model ({', '.join(weights.shipped_models())}) and no folder of a model, a run or a data set"
    )


def codec_check(file: str, codec_name: str, options: dict[str, Any]) -> tuple[dict[str, Any], Any, int]:
    """A sound through a codec and back: figures, the waveform [C, N] that came back, its rate."""
    codec = registry.build("codecs", codec_name, options).eval()
    wav_CN = files.read(file, codec.sample_rate_hz)
    try:
        wav_CN, level_db = clips.normalise_level(wav_CN)
    except BadInput as error:
        raise BadInput(f"{file}: {error}") from None
    wav_BCN = torch.from_numpy(wav_CN)[None]
    with torch.inference_mode():
        z_BDT = codec.encode(wav_BCN)
        back_BCN = codec.decode(z_BDT)[..., : wav_BCN.shape[-1]]
        again_BDT = codec.encode(back_BCN)
    noise = (back_BCN - wav_BCN).square().mean()
    figures = {
        "codec": codec_name,
        "seconds": round(wav_CN.shape[1] / codec.sample_rate_hz, 3),
        "level_db": round(level_db, 2),
        "latents": list(z_BDT.shape[1:]),
        "latent_rms": round(float(z_BDT.square().mean().sqrt()), 3),
        "latent_error": round(float((again_BDT - z_BDT).abs().mean()), 4),
        "waveform_snr_db": round(float(10 * torch.log10(wav_BCN.square().mean() / noise.clamp_min(1e-20))), 2),
    }
    back_CN = back_BCN[0].numpy() * np.float32(10.0 ** ((level_db - clips.LEVEL_DB) / 20.0))  # as loud as it was
    return figures, clips.limit_peaks(back_CN, 0.98, codec.sample_rate_hz), codec.sample_rate_hz


def _codec(name: str) -> dict[str, Any]:
    cls = registry.find("codecs", name)[1]
    return {
        "kind": "codec", "name": name, "what": (cls.__doc__ or "").strip(), "sample_rate_hz": cls.sample_rate_hz,
        "hop_samples": cls.hop_samples, "latent_dim": cls.latent_dim, "options": registry.defaults("codecs", name),
    }  # fmt: skip


def _dataset(folder: Path) -> dict[str, Any]:
    if triplets.is_one(folder):
        return triplets.describe(folder)
    shards.read_header(folder)
    content = json.loads((folder / "dataset.json").read_text())
    return {"kind": "data set", "folder": str(folder), **content}


def _run(folder: Path) -> dict[str, Any]:
    log = folder / "log.jsonl"
    try:
        lines = [json.loads(line) for line in log.read_text().splitlines() if line.endswith("}")]
        last = {split: [x for x in lines if x["split"] == split][-1:] for split in ("train", "val")}
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(
            f"{log}: damaged ({type(error).__name__}: {error}); remove the lines that no run wrote"
        ) from None
    return {
        "kind": "run",
        "folder": str(folder),
        "model": _model(str(folder)) if (folder / "model.safetensors").is_file() else "not written yet",
        "checkpoints": [p.name for p in checkpoint.found(folder / "checkpoints")],
        "last": {split: found[0] for split, found in last.items() if found},
    }


def _model(name: str) -> dict[str, Any]:
    loaded = weights.load_model(name)
    sizes = {part: sum(p.numel() for p in module.parameters()) for part, module in loaded.model.named_children()}
    return {
        "kind": "model", "name": name, "recipe": loaded.recipe.name, "codec": loaded.recipe.codec.name,
        "agent": loaded.recipe.agent.name, "weights": sizes, "window_frames": weights.window_frames(loaded.recipe),
        "sha256": loaded.sha256,
    }  # fmt: skip

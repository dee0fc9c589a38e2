"""How fast composing and preparing are, on this machine, printed with their spread.

python bench/speed.py compose            # real-time factor on the example pair, and the time of import and load
python bench/speed.py prepare            # times real time, on 40 minutes of ogg made from the examples
python bench/speed.py prepare FOLDER     # or on your own music
python bench/speed.py render [FOLDER]    # triplets a minute, and where the time goes; FOLDER holds soundfonts
"""

import contextlib
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

EXAMPLES = Path(__file__).parent.parent / "examples"
RUNS = 5


def main() -> None:
    what, *rest = sys.argv[1:] or ["compose"]
    {"compose": compose, "prepare": prepare, "render": render}[what](*rest)


def compose() -> None:
    loads = [load_seconds() for _ in range(RUNS)]
    from powermuse import Composer, load_model

    composer = Composer(load_model("factors"))
    groove, harmony = (composer.listen(EXAMPLES / f"{name}.ogg") for name in ("groove", "harmony"))
    composer.compose(groove, harmony)  # warm-up
    factors = []
    for _ in range(RUNS):
        begun = time.perf_counter()
        blend = composer.compose(groove, harmony)
        factors.append((time.perf_counter() - begun) / (blend.wav_CN.shape[1] / blend.sample_rate_hz))
    tell("import and load, s", loads)
    tell("compose, real-time factor", factors)


def load_seconds() -> float:
    """A new process from its start until the composer is ready."""
    begun = time.perf_counter()
    code = "from powermuse import Composer, load_model; Composer(load_model('factors'))"
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - begun


def prepare(folder: str | None = None) -> None:
    with tempfile.TemporaryDirectory() as work, contextlib.ExitStack() as stack:
        music = Path(folder) if folder else made_up_music(Path(stack.enter_context(tempfile.TemporaryDirectory())))
        speeds = []
        for i in range(3):
            begun = time.perf_counter()
            command = ["powermuse", "prepare", str(music), "-o", f"{work}/{i}", "--songs-are", "files"]
            out = subprocess.run(command, check=False, capture_output=True, text=True).stdout
            hours = float(out.split(": ")[1].split(" h")[0])
            speeds.append(hours * 3600 / (time.perf_counter() - begun))
        tell("prepare --codec mel, times real time (process start included)", speeds)


def made_up_music(folder: Path) -> Path:
    """Ten files of four minutes, 44.1 kHz stereo ogg, from the examples at changing levels."""
    import numpy as np
    import soundfile

    groove, rate = soundfile.read(EXAMPLES / "groove.ogg")
    harmony, _ = soundfile.read(EXAMPLES / "harmony.ogg")
    for i in range(10):
        bars = [np.roll(groove, i * 997 * k) * 0.5 + np.roll(harmony, k * 7919) * 0.5 for k in range(15)]
        mono = np.concatenate(bars)
        stereo = np.stack([mono, mono[::-1]], axis=1)
        with soundfile.SoundFile(folder / f"{i}.ogg", "w", rate, 2, format="OGG", subtype="VORBIS") as file:
            for begin in range(0, len(stereo), rate):  # libsndfile's Vorbis writer dies of minutes at once
                file.write(stereo[begin : begin + rate])
    return folder


def render(folder: str | None = None) -> None:
    """In one process, fonts loaded: seconds of CPU, so that what else runs on the machine does not count."""
    import torch

    from powermuse.data.render import fonts, perform, store
    from powermuse.data.render.plan import Plan
    from powermuse.data.render.synth import Synth

    torch.set_num_threads(1)
    found = fonts.at_hand("train", [folder] if folder else [])
    for font in found:
        store.loaded(str(font.path))
    store._start(Plan("none", 0, 1), found)
    store._render(0)  # warm-up
    spent = dict.fromkeys(("synth", "augment", "latents and features"), 0.0)
    _clock(spent, "synth", Synth, "stems")
    _clock(spent, "augment", perform.augment, "mix")
    _clock(spent, "latents and features", store, "_encoded")
    seconds = []
    for index in range(12, 48):  # every kind of clip equally often
        begun = time.process_time()
        store._render(index)
        seconds.append(time.process_time() - begun)
    tell("render, CPU seconds a triplet", seconds)
    mean = statistics.mean(seconds)
    shares = ", ".join(f"{name} {time_s / sum(seconds):.0%}" for name, time_s in spent.items())
    print(f"triplets a minute on two cores: {120 / mean:.0f}; of the time: {shares}")


def _clock(spent: dict[str, float], name: str, owner: object, attribute: str) -> None:
    """Counts the CPU time that a function takes from now on."""
    inner = getattr(owner, attribute)

    def timed(*given: object, **named: object) -> object:
        begun = time.process_time()
        try:
            return inner(*given, **named)
        finally:
            spent[name] += time.process_time() - begun

    setattr(owner, attribute, timed)


def tell(what: str, values: list[float]) -> None:
    median, least, most = statistics.median(values), min(values), max(values)
    print(f"{what}: median {median:.3g} (min {least:.3g}, max {most:.3g}, n {len(values)})")


if __name__ == "__main__":
    main()

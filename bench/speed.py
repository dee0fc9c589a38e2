"""How fast composing and preparing are, on this machine, printed with their spread.

python bench/speed.py compose            # real-time factor on the example pair, and the time of import and load
python bench/speed.py prepare            # times real time, on 40 minutes of ogg made from the examples
python bench/speed.py prepare FOLDER     # or on your own music
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
    {"compose": compose, "prepare": prepare}[what](*rest)


def compose() -> None:
    loads = [load_seconds() for _ in range(RUNS)]
    from powermuse import Composer, load_model

    composer = Composer(load_model("starter"))
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
    code = "from powermuse import Composer, load_model; Composer(load_model('starter'))"
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


def tell(what: str, values: list[float]) -> None:
    median, least, most = statistics.median(values), min(values), max(values)
    print(f"{what}: median {median:.3g} (min {least:.3g}, max {most:.3g}, n {len(values)})")


if __name__ == "__main__":
    main()

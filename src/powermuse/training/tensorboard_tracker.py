"""A run's scalars, sounds and pictures as TensorBoard's event files, in RUN/tensorboard."""

from pathlib import Path

import torch

from powermuse.audio import files
from powermuse.training.tracking import ABOUT, Heard


class TensorboardTracker:
    """What a resumed run has written beyond `seen` is hidden by TensorBoard: no step is there twice."""

    def __init__(self, run: Path, seen: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(run / "tensorboard"), purge_step=seen + 1 if seen else 0)
        if not seen:
            for file in (run / name for name in ABOUT):
                if file.exists():
                    self._writer.add_text(file.stem, f"```\n{file.read_text()}\n```", 0)

    def log(self, seen: int, split: str, scalars: dict[str, float]) -> None:
        """Every scalar, `seen` as the step, on the disk when this returns."""
        for name, value in scalars.items():
            self._writer.add_scalar(f"{split}/{name}", value, seen)
        self._writer.flush()

    def keep(self, heard: Heard) -> None:
        """Sounds to the audio page, the picture to the images."""
        from matplotlib.image import imread

        for name, path in heard.sounds.items():
            wav = torch.from_numpy(files.read(path))
            self._writer.add_audio(f"listen/{name}", wav, heard.seen, heard.sample_rate_hz)
        self._writer.add_image("listen/spectrograms", imread(heard.picture), heard.seen, dataformats="HWC")
        self._writer.flush()

    def close(self, *, finished: bool) -> None:
        """Closes the file, and the thread that writes it."""
        self._writer.close()

"""The one clock of the house: mono sound at 24 kHz, 75 frames a second."""

SAMPLE_RATE_HZ = 24_000
HOP_SAMPLES = 320
FRAME_RATE_HZ = SAMPLE_RATE_HZ / HOP_SAMPLES

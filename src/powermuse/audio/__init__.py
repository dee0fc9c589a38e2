"""Sound files, clips cut from them, and what can be measured on a waveform alone."""

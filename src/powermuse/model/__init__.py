"""The composing networks. Tensors only: no files, no codec, no trainer."""

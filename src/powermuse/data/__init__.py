"""From sound files to memory-mapped latents, and from those to training pairs."""

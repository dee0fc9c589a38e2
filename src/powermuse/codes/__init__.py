"""What may pass from a clip to a composer that is not allowed to hear it: a rhythm, a harmony, a colour.

Each code is a function of tensors without weights. What it drops is gone for good: two clips that differ in that alone
have the same code, to the bit.
"""

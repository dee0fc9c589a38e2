"""From two files to a third, and what there is to say about it."""

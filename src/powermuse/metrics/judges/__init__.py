"""Slow readers of single clips, each a package of its own: the extra `judges`, imported when one is asked."""

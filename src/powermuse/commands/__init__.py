"""One file a command: its options, and what it prints of what others do."""

"""One trainer: a loop that reads top to bottom, on Lightning Fabric."""

"""Measures of a blend. Each module: prose with units and source, `validate`, pure functions, `evaluate`."""

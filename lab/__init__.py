"""The operator's toolbox: replay, simulate, calibrate."""

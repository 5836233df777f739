"""A run folder: what training and calibration leave behind."""

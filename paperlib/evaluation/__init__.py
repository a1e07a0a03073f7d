"""From saved probabilities to honest scores: selection, both protocols, systems, calibration."""

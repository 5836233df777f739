"""How sure a prediction is: prediction intervals, calibrated probabilities, familiarity scores."""

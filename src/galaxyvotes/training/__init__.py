"""From stores and a recipe to a run."""

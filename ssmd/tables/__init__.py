"""Tables out of recorded days: schemas that are learned from a day, and exports for other programs."""

"""How much of a run's state is shown to who can reach its port. It imports nothing: commands parse these names."""

__all__ = ["FULL", "LEVELS", "OFF", "STATUS"]

OFF, STATUS, FULL = LEVELS = ("off", "status", "full")
"""How much is shown: `off` the state alone, `status` everything but the names of markets and the texts of errors."""

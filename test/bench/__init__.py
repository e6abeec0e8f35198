"""The benchmark: ssmd's real process against what a user would pick instead. Started by bin/bench."""

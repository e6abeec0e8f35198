"""Reading recorded data: blocks of lines, seeking, selecting, merging."""

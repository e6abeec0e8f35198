"""Reports on recorded days: the figures, and how they are shown as text and as HTML."""

"""Reports on recorded days: their figures, and how these are shown as text and as HTML."""

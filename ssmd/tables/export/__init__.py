"""`ssmd export`: recorded days as files for other programs, in a folder or a bucket."""

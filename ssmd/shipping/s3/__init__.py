"""Uploads recorded days to a bucket: each sealed day once, with the manifest last, and the lines of today in segments.

Nothing is remembered here: after each start the bucket is asked what it has.
"""

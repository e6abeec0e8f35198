"""A day in Parquet: typed tables, from which every line comes back byte for byte."""

"""The contracts between the parts of ssmd, one file for each kind of part."""

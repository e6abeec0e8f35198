"""The layout of aaronwald/ssmd: what its archiver and its ssmd-parquet-gen write, for the programs that read that.

https://github.com/aaronwald/ssmd/blob/main/docs/schemas/parquet-schemas.md
"""

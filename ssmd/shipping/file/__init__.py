"""A copy of what is recorded in another folder, such as one that is mounted over NFS."""

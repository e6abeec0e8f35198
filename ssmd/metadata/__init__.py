"""The tree of YAML files that says what to collect: its model, its reader and its checks."""

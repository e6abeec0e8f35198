"""Keys in Vault, or in OpenBao, whose interface is the same.

    resolver.py  `vault:<mount>/<path>`: which secret, and which of its entries
    login.py     the token: given, or by AppRole, or by a Kubernetes service account
    client.py    one request and its answer, in time and bounded
    source.py    the text of `source`
"""

"""Our own server: what it grants a connection before a request is one, whoever connects."""

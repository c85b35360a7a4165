"""One folder per dialect, sans-IO: bytes in, events out, nothing awaited. Dialects do not import each other.

`core.dialect.Dialect` says what each offers; `protocols.registry` names them all.
"""

"""The edge: the only place that knows status codes, paths and HTTP headers."""

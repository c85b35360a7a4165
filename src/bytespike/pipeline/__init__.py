"""One request's life: authenticate, read, admit, attempt, relay, settle. `life.py` tells it in order."""

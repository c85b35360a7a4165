"""Images and video: what is asked for, who makes it, and where it is kept.

order.py      what is to be made, in one vocabulary for every provider
rules.py      a request's parameters, checked against what its model takes: an order. `reading`, `extent`, `pictures`, `sizes`: parts of it
adapter.py    what the adapter of a provider of long renders is, `drawing.py` that of one of images; `adapters/` has them
images/       synchronous images: a request's life
tasks/        asynchronous tasks: rows, the worker, callbacks
objects/      the object store, and the signed URLs that lead to it
probe/        width, height and duration, read from a file's own bytes
"""

"""What was made, kept: its bytes in an object store, its row in the database, and the signed URLs that lead to it.

store.py     puts and opens objects; every byte goes through in pieces
backends.py  where the bytes are: a folder, S3 and what is like it, GCS, Azure
urls.py      signed URLs: made, and checked
sweep.py     deletes what has expired
"""

"""The schema's history. Each file in `versions/` is one step; `store.engine.migrate` applies those that are missing.

A step that has been released is never edited: a change of `store/tables.py` is a new file beside the others. A test
holds that all steps together make what `tables.py` says. SQLite cannot alter most things in place, so steps that alter
a table use `op.batch_alter_table`, which copies it.
"""

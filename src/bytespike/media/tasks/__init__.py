"""Tasks: what takes too long for one answer. A row each, worked on by whoever has claimed it.

record       a task, its states and steps: read this first
desk         what clients do: submit, query, cancel, list
worker       claims what is due and has it done; runs in every serving process
claims       claiming rows, with a lease and a fence
writing      what is written about claimed rows, many at once
submission, reconciling, polling, fetching, settlement   the steps; `endings` leads to the last
new_task     what a client submits, and the row that it becomes
channels     which channel a submission goes to
calling      a call of a provider
charging     what a task costs
body         a task as its owner sees it
rows         reading them
pacing       when what is done next
estimates    how long it will take
events       what watchers are told
callbacks    telling a URL, signed; `callback_rows` its tries
parts        what all of them share
"""

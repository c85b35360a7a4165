"""Synchronous images: one request's life.

life        a request for images, from its parameters to its answer: read this first
chat        a turn of a conversation whose answer has pictures in it (gpt-4o-image)
plan        which model, which channels, what it may cost
inputs      pictures that the client gives by URL, made inline
attempt     one channel is asked
stream      pictures as they come
keep        finished pictures are kept, and get their URLs
answer      OpenAI's body and events
sight       what is counted and traced
settlement  the hold resolves: posted for what was delivered, or voided
make        the same upstream calls for the tasks' worker
parts       what all of them share; call: what goes into a request's life
"""

"""What a file is, told by its own bytes: content type, width, height and duration, without keeping the file.

stream.py  a reader of formats, fed in pieces: it keeps what a format asks for and lets the rest pass
images.py  PNG, JPEG, GIF, WebP
mp4.py     MP4 and what is like it
webm.py    WebM
probe.py   finds the format, and tells the facts
"""

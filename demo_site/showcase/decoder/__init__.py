"""What runs in the decoder, a child process without Django, secrets or a folder of its own.

`child` speaks with the parent (`showcase.reading`), `pictures` and `archives` know the formats, and
`plain_jpeg` tells the JPEGs that are kept as they are from all others.
"""

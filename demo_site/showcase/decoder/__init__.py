"""Strangers' bytes -> pixels, in a process without Django, secrets, files or network.

`client` is the site's side, `process` the other; `images` and `archives` know the formats, and
`sandbox` is what the process gives up before it reads the first byte.
"""

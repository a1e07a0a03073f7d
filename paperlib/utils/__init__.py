"""What every room uses and nothing in it knows of the paper.

errors    `PaperError`: a problem and its cure in one line
files     atomic writes, JSON, arrays, digests
cache     arrays on disk that were computed once
memoize   results in memory, by the contents of array arguments
"""

"""What every room uses and nothing in it knows of the paper.

errors     `PaperError`: a problem and its cure in one line
files      atomic writes, JSON, arrays, digests, locks
paths      the checkout and the cache folder
cache      arrays on disk that were computed once
memoize    results in memory, by the contents of array arguments
code       digests of all that a module's code reaches
backend    which backend is under Keras, before Keras is imported
system     cores, memory, browser
executors  threads, or the workers of a Dask cluster
extras     the line that installs what is missing
"""

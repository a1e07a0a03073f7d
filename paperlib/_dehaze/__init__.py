"""What `paperlib.dehaze` and `paperlib.dehaze_scene` are made of; nothing here is public.

check        what is accepted as image, mask and parameter
equations    the definition: one function per equation, in float64
fast         the same picture many times faster: blocks, threads and dtypes around the kernels
windows      how kernels are compiled; minima and sums over windows
dark         kernels: dark channel and atmospheric light of uint8 images
integers     kernels: transmission, guided filter and recovery of uint8 images
floats       kernels: the same for every other image
space        the arrays the kernels work in
light        the atmospheric light of a scene seen tile by tile
raster       image files: what is in them, windows, and a copy with other pixels
tiles        one file, tile by tile, in two passes; resumable
pool         who works on tiles or files: threads, or a Dask cluster
"""

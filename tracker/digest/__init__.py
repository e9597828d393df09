"""The weekly digest: what happened in seven days, as known at one instant, said once for two formats.

``build`` reads the store, ``layout`` puts what was found into words, ``render`` makes HTML, text and pictures of
them, ``archive`` exports digests that were made. The same database and instant give the same bytes.
"""

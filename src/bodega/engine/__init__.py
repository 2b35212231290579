"""One request, one page: understand, retrieve from each source, fuse, rank, explain.

Useful for: answering. Not for: choosing the concrete parts (`wiring`) or speaking HTTP (`service`).
"""

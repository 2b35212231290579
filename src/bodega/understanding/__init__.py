"""What do words mean? Text becomes tokens here, the same way for the catalog and for queries.

Useful for: everything that reads text. Not for: finding items (`retrieval`).
"""

"""Does *your* part fit? A world whose right answers are known, contract checks, and stores that live in memory.

Useful for: proving that a source or a store of your own keeps the promises of `bodega.protocols`.
Not for: production; nothing here is durable. Import the files: `from bodega.testing.world import make_world`.
"""

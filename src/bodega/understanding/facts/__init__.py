"""What do the words of an item say about it? Facts read in titles, descriptions, category paths and article numbers.

columns     which columns of this shop can be filled, and what everybody calls the values (`lexicon`)
passages    the texts of an item, as words that know their place
mentions    values, amounts and sizes that stand in them
brands      names that no list holds yet, tagged in titles
clues       words that go with a value elsewhere in the shop
belief      how sure is each of them? Learned by hiding what the shop knows, and finding it again
miner       all of it: fit on a catalog, mine items, save, load
"""

from bodega.understanding.facts.miner import Miner, MinerOptions

__all__ = ["Miner", "MinerOptions"]

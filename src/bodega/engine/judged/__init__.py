"""Who says how well an item answers a query? People, clicks and a language model; `door` is `shop.judgments`.

`clicks` grades what clicks say, `queue` finds what is worth a person's judgment, `llm` asks a model, `report` tells
whether search got worse, `lesson` is what `learn` takes from it. Not for: pages; nothing of this happens while one is
answered.
"""

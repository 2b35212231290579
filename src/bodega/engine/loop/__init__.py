"""May the shop learn by itself? `door` is `shop.loop`: judge, learn a candidate, gate it, ask shoppers, serve or drop.

`state` is what is on record (a killed run goes on there), `gate` the five offline gates, `attack` one of them,
`contest` the interleaving of candidate and current. The last word is a person's unless the settings say otherwise.
"""

"""What is compared on shoppers? Arms are served, read and guarded here; `door` is `shop.experiments`.

In the order of a page: `serving` says which arms answer it, `sticky` who keeps an arm, `beside` opens another snapshot,
`mixing` drafts one list from two. Then `reading` says what came of it, `guard` stops what does harm, `planning` how
long it takes, `promoting` makes an arm the shop's settings. What an arm may turn is `engine.dials`. Where nothing runs,
nothing costs.
"""

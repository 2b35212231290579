"""What do shoppers say of items? Sentiment, aspects, a summary of their own sentences, and which may be no honest ones.

    lexicon     words of praise and complaint in English and Chinese, and what stars teach
    sentiment   a linear model per language, taught by the shop's own stars
    aspects     what a clause speaks of, and how it does
    summary     the few sentences that say what many say
    spam        copies, bursts, links, capitals, stars against words: flags with a reason
    analysis    all of it over a whole store, item by item, for the snapshot

The shop learns from its own reviews; nothing that was learned elsewhere is shipped. Languages are told apart by script.
Not for: keeping reviews (`adapters.sql.reviews`) or deciding what is shown (`engine.reviews`).
"""

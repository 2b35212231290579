"""What do texts mean, as vectors? Encoders behind one protocol (`protocols.Encoder`).

    static      the shop's own: a weighted sum of words, taught from its catalog and clicks (`training`); microseconds
    e5, minilm  pretrained, from packages that carry their weights; milliseconds
    hub         any sentence-transformers model         endpoint   any OpenAI-compatible server
    pretrained  opens the last four by name             cached     nothing is encoded twice

Which one serves is chosen in the settings (`understand`) and told by `encoder.info`.
"""

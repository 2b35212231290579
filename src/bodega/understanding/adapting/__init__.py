"""Can a whole network learn this shop's language, and stay quick? Tuned by LoRA, distilled, cut down to 8 bits.

    lora       low-rank corrections inside any torch network, from pairs that belong together; kept if surely better
    networks   text and image networks as what `lora` needs: pairs in, vectors out
    shop       what a shop has to teach with, and `bodega adapt`'s whole way
    exporting  the tuned network as an ONNX file with 8-bit weights, and the encoder that serves it without torch

Beside it: `understanding.text.adapters` corrects the *vectors* of an encoder (seconds, no torch). This room corrects
the network itself (minutes to hours), which may also teach the static encoder (`understand.teacher`).
"""

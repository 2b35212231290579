"""What do pictures show? Bytes become pixels, pixels become vectors, behind one protocol (`protocols.ImageEncoder`).

    decoding      bytes -> Pixels, with limits that hold before anything is allocated
    efficientnet  a pretrained network whose weights a package carries; some 15 ms a picture
    own           a small network that the shop's photos taught            histogram   colours and edges; needs nothing
    hub           SigLIP, CLIP, DINOv2 or any image model of transformers  opening     opens one of them by name
    likeness      which pictures are the same picture?

Which one is in use is chosen in the settings (`pictures`) and told by `encoder.info`.
"""

from bodega.understanding.image.decoding import Limits, decode
from bodega.understanding.image.opening import open_image_encoder

__all__ = ["Limits", "decode", "open_image_encoder"]

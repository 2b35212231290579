"""What would come next, written code by code? The generative source: semantic ids, a timeline, a beam.

source      `Generative`: fit, retrieve, score, newer items, next queries
options     the few numbers
_content    what an item reads like, as a short vector
_quantiser  vectors to codes (residual k-means); _rqvae the same in a learned space
_ids        semantic ids, of the catalog and of items nobody has touched
_trie       which ids exist
_steps      items wanted and words searched, as one row
_lesson     what is taught, and where the weights start
_learning   the network in torch (only there)
_network    the network in numpy; _t5 its encoder-decoder form
_beam       the search over the ids that exist
"""

from bodega.retrieval.generative.options import GenerativeOptions
from bodega.retrieval.generative.source import Generative

__all__ = ["Generative", "GenerativeOptions"]

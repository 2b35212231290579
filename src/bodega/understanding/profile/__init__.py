"""What is an item, as one vector of everything that is known of it: text, words, attributes, picture, behaviour?

    inputs     what is known, one block a modality         bags      words and attribute values as sparse rows
    model      projections, gate, the fused vector          lesson    pairs that belong together
    training   how they are learned, with numpy alone       reading   items, queries and photos as inputs

Arrays in, arrays out: who reads the catalog and the log for it is `retrieval.profile`.
"""

from bodega.understanding.profile.bags import Bags, values_of, words_of
from bodega.understanding.profile.inputs import MODALITIES, Inputs
from bodega.understanding.profile.lesson import Lesson, Pairs, ProfileOptions
from bodega.understanding.profile.model import ProfileModel, Profiles
from bodega.understanding.profile.training import ProfileFacts, train

__all__ = [
    "MODALITIES",
    "Bags",
    "Inputs",
    "Lesson",
    "Pairs",
    "ProfileFacts",
    "ProfileModel",
    "ProfileOptions",
    "Profiles",
    "train",
    "values_of",
    "words_of",
]

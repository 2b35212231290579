"""In what order? Whatever maps (context, candidates) to candidates lives here, whatever its fame.

`fuse` is the first stage: it joins the sources' lists and weighs their scores. `fit` finds the weights on validation.
"""

"""What does the log say of the shop? Counts, rates and questions to the log, attributed to who answered them.

A click is worth something only together with the page it came from: `attribution` joins events to the pages of the log
of answers, `daily` and `live` count both (one rule, two speeds, equal figures), `queries` says what people look for and
do not find. Not for: deciding anything, nor for answering requests: nothing in this room is asked while a page waits.
"""

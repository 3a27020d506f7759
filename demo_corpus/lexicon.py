"""The invented lexicon: 28 signs of handshape, place, movement and hands, some with a facial expression.

Invented for testing; it is no natural sign language.
"""

from __future__ import annotations

from demo_corpus.sign import Sign
from demo_corpus.signs_actions import ACTIONS
from demo_corpus.signs_people import PEOPLE, TIMES
from demo_corpus.signs_things import PLACES_AND_ENDS, QUALITIES, THINGS

SIGNS: tuple[Sign, ...] = TIMES + PEOPLE + ACTIONS + THINGS + QUALITIES + PLACES_AND_ENDS
BY_GLOSS = {sign.gloss: sign for sign in SIGNS}

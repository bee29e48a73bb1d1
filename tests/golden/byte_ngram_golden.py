# SPDX-License-Identifier: MIT
"""Prints the probabilities that byte_ngram_test.cpp expects, from Witten and Bell's recursion in exact fractions.

It counts by searching the text for each context anew, sharing nothing with the tables of byte_ngram.hpp.
"""
from fractions import Fraction
from math import log2

TRAINING, HELD_OUT = b"abracadabra, abracadabra!", b"cadabra abra"


def probability(text, history, byte):
    followers = [text[i] for i in range(len(history), len(text)) if text[i - len(history):i] == history]
    shorter = probability(text, history[1:], byte) if history else Fraction(1, 256)
    if not followers:
        return shorter
    distinct = len(set(followers))
    return (followers.count(byte) + distinct * shorter) / (len(followers) + distinct)


for history, byte in ((b"", b"a"), (b"", b"z"), (b"a", b"b"), (b"br", b"a"), (b"ab", b"z"), (b"xa", b"b"), (b"ra", b",")):
    p = probability(TRAINING, history, byte[0])
    print(f'{{"{history.decode()}", \'{byte.decode()}\', {p.numerator}.0 / {p.denominator}}},')
for order in range(7):
    bits = -sum(log2(probability(TRAINING, HELD_OUT[max(0, i - order):i], HELD_OUT[i])) for i in range(len(HELD_OUT)))
    print(f"{bits / len(HELD_OUT):.15g},")

"""Speech recognition with a toy ear: acoustic evidence times a language model.

A speaker says words; the ear hears letters, some wrong, with known probabilities, and hears where
each word ends. Marks are silent. The decoder looks for the words x that make

    log p(heard | x) + weight · log p(x)

largest: Bayes' rule, with the language model as the prior. Shannon's noisy channel (1948), used
for speech by Bahl, Jelinek and Mercer (1983) and for spelling by Kernighan, Church and Gale (1990).

    channel = Channel(noise=0.3)
    heard = channel.hear(story.tokens, seed=0)
    found = decode([heard], channel, words, TruthReader(words))[0]
    found.best, found.vote()
"""

from llmcourse.noisy.channel import ALIKE, LETTERS, SILENT, Channel, spoken, word_errors
from llmcourse.noisy.decoder import Found, decode
from llmcourse.noisy.readers import FlatReader, GPTReader, NGramReader, Reader, TruthReader

__all__ = [
    "ALIKE",
    "LETTERS",
    "SILENT",
    "Channel",
    "FlatReader",
    "Found",
    "GPTReader",
    "NGramReader",
    "Reader",
    "TruthReader",
    "decode",
    "spoken",
    "word_errors",
]

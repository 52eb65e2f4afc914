"""The ids that every vocabulary reserves."""

PAD, UNK, BOS, EOS = range(4)

"""Attacks on a researcher's own `score`, `simulate` and `certify`, before a search finds the same holes.

What "gets through" means, for each kind of attack, is the heart of this folder; `docs/redteam.md` says it at length.

- A hostile answer gets through when there is proof that it should not have scored as it did. Proof is one of:
  `certify` disagrees; the same code disagrees with itself (tolerances halved, comparisons that NaN fails, whole
  numbers without wrap-around, see `oracles`); the value follows a number that the answer states, or grows with
  repetition, or an answer that cannot be one (nothing, NaN everywhere, an input that equals what is hidden,
  another case's answer for every case) does as well as the honest ones.
- A hostile program gets through when its honest part scores otherwise than alone, or it finds what is hidden.
- The problem's functions fail when they change a case, answer differently twice, or take their process down.

Whatever may be legitimate - another answer that happens to be better than a weak seed - is at most a warning.
"""

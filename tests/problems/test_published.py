"""Published constructions, typed in or made by their formula: our certificates say of each what its paper says.

And each, broken in the smallest way, is refuted.
"""

from fractions import Fraction
from itertools import combinations, product

import numpy as np
import pytest

from evolve.problems import capset, circle_packing, kissing, matmul_rank, sorting_network
from evolve.statement import Case

# -- schemes for matrix multiplication: A, B and C of each term, as signed places


def matrix(text, side):
    """The matrix of signed places: "12 -21" is 1 in row 1, column 2, and -1 in row 2, column 1."""
    rows = [[0] * side for _ in range(side)]
    for word in text.split():
        rows[int(word[-2]) - 1][int(word[-1]) - 1] = -1 if word[0] == "-" else 1
    return rows


# V. Strassen, Gaussian elimination is not optimal, Numerische Mathematik 13 (1969).
STRASSEN = """
11 22  * 11 22  > 11 22
21 22  * 11     > 21 -22
11     * 12 -22 > 12 22
22     * 21 -11 > 11 21
11 12  * 22     > -11 12
21 -11 * 11 12  > 22
12 -22 * 21 22  > 11
"""

# J. Laderman, A noncommutative algorithm for multiplying 3 x 3 matrices using 23 multiplications, Bulletin of the AMS
# 82 (1976).
LADERMAN = """
11 12 13 -21 -22 -32 -33 * 22                       > 12
11 -21                   * -12 22                   > 21 22
22                       * -11 12 21 -22 -23 -31 33 > 21
-11 21 22                * 11 -12 22                > 12 21 22
21 22                    * -11 12                   > 12 22
11                       * 11                       > 11 12 13 21 22 31 33
-11 31 32                * 11 -13 23                > 13 31 33
-11 31                   * 13 -23                   > 31 33
31 32                    * -11 13                   > 13 33
11 12 13 -22 -23 -31 -32 * 23                       > 13
32                       * -11 13 21 -22 -23 -31 32 > 31
-13 32 33                * 22 31 -32                > 12 31 32
13 -33                   * 22 -32                   > 31 32
13                       * 31                       > 11 12 13 21 23 31 32
32 33                    * -31 32                   > 12 32
-13 22 23                * 23 31 -33                > 13 21 23
13 -23                   * 23 -33                   > 21 23
22 23                    * -31 33                   > 13 23
12                       * 21                       > 11
23                       * 32                       > 22
21                       * 13                       > 23
31                       * 12                       > 32
33                       * 33                       > 33
"""


def scheme(text, side):
    """The terms of a scheme, each three matrices."""
    lines = [line.replace(">", "*").split("*") for line in text.strip().splitlines()]
    return [[matrix(part, side) for part in line] for line in lines]


SCHEMES = [(STRASSEN, 2, "7.036"), (LADERMAN, 3, "23.153")]


def multiplied(terms, side):
    return matmul_rank.check({"n": side, "m": side, "p": side, "terms": terms})


@pytest.mark.parametrize(("text", "side", "value"), SCHEMES)
def test_strassen_takes_7_products_and_laderman_23(text, side, value):
    terms = scheme(text, side)
    assert multiplied(terms, side) == value
    case = Case("a", hidden={"sides": (side,) * 3})
    outcome = tuple(np.array(part) for part in zip(*terms, strict=True)), [len(terms)], 0.0
    assert matmul_rank.certify(outcome, case).value == value
    assert matmul_rank.score(outcome, case)["rank"] == float(value)


@pytest.mark.parametrize(("text", "side", "value"), SCHEMES)
def test_a_scheme_with_one_sign_changed_or_one_term_less_is_refuted(text, side, value):
    whole = int(float(value))
    for term, part in product(range(whole), range(3)):
        terms = scheme(text, side)
        row, column = next((i, j) for i in range(side) for j in range(side) if terms[term][part][i][j])
        terms[term][part][row][column] *= -1
        with pytest.raises(ValueError, match="times in C"):
            multiplied(terms, side)
    for term in range(whole):
        terms = scheme(text, side)
        del terms[term]
        with pytest.raises(ValueError, match="times in C"):
            multiplied(terms, side)


# -- kissing configurations


def e8():
    """The 240 shortest vectors of the lattice E8, times two (Conway, Sloane, chapter 4, 8.1)."""
    pairs = [
        [a * (k == i) + b * (k == j) for k in range(8)]
        for i, j in combinations(range(8), 2)
        for a, b in product((-2, 2), repeat=2)
    ]
    halves = [list(signs) for signs in product((-1, 1), repeat=8) if signs.count(-1) % 2 == 0]
    return pairs + halves


def kissed(vectors):
    return kissing.check({"dimension": len(vectors[0]), "vectors": vectors})


def test_240_spheres_touch_one_in_dimension_8():
    assert kissed(e8()) == "240"
    certificate = kissing.certify((np.array(e8()), 240), Case("d8", hidden=(8, 8)))
    assert certificate.valid
    assert certificate.value == "240"
    assert kissing.score((np.array(e8()), 1), Case("d8", hidden=(8, 8))) == {
        "count": 240,
        "antipodal": 1.0,
        "touching": 56 / 240,
        "levels": 0.0,
    }


@pytest.mark.parametrize("place", [0, 111, 112, 239])
def test_e8_with_one_sign_changed_or_one_vector_more_is_refuted(place):
    changed = e8()
    axis = next(k for k in range(8) if changed[place][k])
    changed[place][axis] *= -1
    with pytest.raises(ValueError, match="nearer to each other"):
        kissed(changed)
    with pytest.raises(ValueError, match="nearer to each other"):
        kissed([*e8(), [1, 1, 1, 1, 2, 0, 0, 0]])


def test_the_240_stay_when_they_are_large_and_one_is_moved_by_one_unit():
    large = [[10**12 * x for x in vector] for vector in e8()]
    assert kissed(large) == "240"
    large[0][0] += 1 if large[0][0] < 0 else -1  # shorter, and nearer to those that it touched
    with pytest.raises(ValueError, match="nearer to each other"):
        kissed(large)


# -- cap sets

# Ten triples of six points, each two points in just two of them, none the complement of another.
TRIPLES = ["012", "013", "024", "035", "045", "125", "134", "145", "234", "235"]


def cap_112():
    """112 vectors of F_3^6: the triples with all signs, and all signs of which evenly many are minus."""
    words = []
    for triple in TRIPLES:
        for signs in product("12", repeat=3):
            letters = dict(zip(map(int, triple), signs, strict=True))
            words.append("".join(letters.get(place, "0") for place in range(6)))
    return words + ["".join(signs) for signs in product("12", repeat=6) if signs.count("2") % 2 == 0]


def test_112_vectors_of_dimension_6_hold_no_line():
    assert capset.check({"n": 6, "vectors": cap_112()}) == "112"


def test_the_cap_of_112_is_complete_and_with_one_vector_changed_it_is_refuted():
    words = cap_112()
    others = {"".join(letters) for letters in product("012", repeat=6)} - set(words)
    for word in others:
        with pytest.raises(ValueError, match="lie on a line"):
            capset.check({"n": 6, "vectors": [word, *words]})
    odd = [*words[:-1], words[-1][:-1] + ("1" if words[-1][-1] == "2" else "2")]
    with pytest.raises(ValueError, match="lie on a line"):
        capset.check({"n": 6, "vectors": odd})
    with pytest.raises(ValueError, match="twice"):
        capset.check({"n": 6, "vectors": [*words, words[0]]})


def test_the_product_of_two_caps_is_one():
    twenty = [word[2:] for word in cap_112() if word[:2] == "01"]
    small = ["00", "01", "10", "11"]
    assert capset.check({"n": 4, "vectors": twenty}) == str(len(twenty))
    both = [one + two for one in small for two in twenty]
    assert capset.check({"n": 6, "vectors": both}) == str(4 * len(twenty))


# -- sorting networks

# Fewest comparators for 2 to 8 wires: 1, 3, 5, 9, 12, 16, 19 (Floyd, Knuth; Knuth, TAOCP 3, 5.3.4); wires from 0.
OPTIMAL = {
    2: "01",
    3: "02 01 12",
    4: "01 23 02 13 12",
    5: "01 34 24 23 14 03 02 13 12",
    6: "12 45 02 35 01 34 25 03 14 24 13 23",
    7: "12 34 56 02 35 46 01 45 26 04 15 03 25 13 24 23",
    8: "02 13 46 57 04 15 26 37 01 23 45 67 24 35 14 36 12 34 56",
}
FEWEST = {2: 1, 3: 3, 4: 5, 5: 9, 6: 12, 7: 16, 8: 19}


def batcher(wires):
    """Batcher's odd-even merge sort of a list of wires, a power of two of them (AFIPS 1968)."""
    if len(wires) < 2:
        return []
    half = len(wires) // 2
    return batcher(wires[:half]) + batcher(wires[half:]) + merge(wires)


def merge(wires):
    """Comparators that merge two sorted halves."""
    if len(wires) == 2:
        return [tuple(wires)]
    inner = [(wires[i], wires[i + 1]) for i in range(1, len(wires) - 1, 2)]
    return merge(wires[::2]) + merge(wires[1::2]) + inner


def networks(n):
    """The optimal network, and Batcher's without what reaches beyond the last wire."""
    optimal = [(int(pair[0]), int(pair[1])) for pair in OPTIMAL[n].split()]
    whole = next(power for power in (2, 4, 8) if power >= n)
    return optimal, [(i, j) for i, j in batcher(list(range(whole))) if j < n]


@pytest.mark.parametrize("n", OPTIMAL)
def test_optimal_networks_and_batchers_sort_and_without_any_comparator_do_not(n):
    for network in networks(n):
        pairs = [list(pair) for pair in network]
        value = sorting_network.check({"n": n, "comparators": pairs})
        assert int(value.partition(".")[0]) == len(pairs) == FEWEST[n]  # Batcher's are optimal up to 8
        for missing in range(len(pairs)):
            with pytest.raises(ValueError, match="not sorted"):
                sorting_network.check({"n": n, "comparators": pairs[:missing] + pairs[missing + 1 :]})


# -- discs in the unit square

# AlphaEvolve, 26 discs: google-deepmind/alphaevolve_results, mathematical_results.ipynb (2025, CC BY 4.0), B.12 of
# arXiv:2506.13131; x, y, radius.
DISCS = """
0.68180423 0.90401948 0.09598051040194801
0.90598057 0.49972596 0.094019420598057
0.08464495 0.08464502 0.084644941535505
0.4818405 0.1034156 0.10341558965844
0.48234279 0.89652324 0.10347674965232401
0.88928295 0.11071646 0.11071644892835401
0.07852351 0.50033803 0.07852350214764901
0.27330428 0.1051224 0.10512238948776001
0.38153556 0.70211016 0.115517618448237
0.13252625 0.70386646 0.132047406795258
0.59610341 0.72720176 0.10051153994884501
0.59576502 0.2725969 0.10054788994521
0.88902242 0.88902318 0.11097680890231801
0.68087256 0.09573004 0.095730030426996
0.53098174 0.49996661 0.13587084641291403
0.90742967 0.68631006 0.09257029074297
0.74197859 0.40386139 0.095943250405674
0.08471273 0.91528735 0.08471263152873601
0.76300349 0.7598366 0.069494603050539
0.27358888 0.89472069 0.105279299472069
0.13242993 0.29639184 0.132426596757339
0.90745313 0.31316575 0.092546580745341
0.76284098 0.23948486 0.06975189302481001
0.38095848 0.29797266 0.115741008425898
0.74207757 0.59573774 0.09593309040669
0.27141024 0.50032568 0.114361818563817
"""


def discs():
    """The 26 discs, as texts."""
    return [line.split() for line in DISCS.strip().splitlines()]


def packed(rows):
    return circle_packing.check({"n": 26, "discs": rows})


def test_alphaevolves_26_discs_are_a_packing_of_2_635862():
    exact = sum(Fraction(radius) for _, _, radius in discs())
    assert Fraction(packed(discs())) == exact
    assert str(float(exact)).startswith("2.635862")
    as_floats = np.array(discs(), float)
    case = Case("n26", inputs=(26,))
    certificate = circle_packing.certify(as_floats, case)
    assert certificate.valid
    assert float(Fraction(certificate.value)) == circle_packing.score(as_floats, case)["sum_radii"]
    assert np.array_equal(circle_packing.shrink(as_floats), as_floats)  # there was nothing to shrink


def test_the_discs_with_1e_7_more_are_refuted_all_together_and_one_by_one():
    more = Fraction(1, 10**7)
    grown = [[x, y, str(Fraction(radius) + more)] for x, y, radius in discs()]
    with pytest.raises(ValueError, match=r"overlap|leaves the square"):
        packed(grown)
    for place in range(26):
        rows = discs()
        rows[place] = grown[place]
        with pytest.raises(ValueError, match=r"overlap|leaves the square"):
            packed(rows)


def test_a_disc_may_touch_a_side_and_not_leave_it_by_the_smallest_fraction():
    rows = discs()
    x, y, _ = rows[2]  # the disc in the corner
    rows[2] = [x, y, x]
    assert Fraction(packed(rows)) > Fraction(packed(discs()))
    rows[2] = [x, y, str(Fraction(x) + Fraction(1, 10**30))]
    with pytest.raises(ValueError, match="disc 2 leaves the square"):
        packed(rows)


def test_discs_that_overlap_are_shrunk_before_they_are_paid_for():
    grown = np.add(np.array(discs(), float), [0.0, 0.0, 1e-7])
    case = Case("n26", inputs=(26,))
    scored = circle_packing.score(grown, case)["sum_radii"]
    assert circle_packing.certify(grown, case).valid
    assert scored < 2.6358627564136983 + 1e-7 < grown[:, 2].sum() - 1e-6

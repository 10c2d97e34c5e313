import pytest
from trading_ops.core.outcome import EXIT_CODES, GOOD, worst

WORDS = list(EXIT_CODES)


def test_only_what_is_good_ends_with_zero():
    assert {word for word, code in EXIT_CODES.items() if code == 0} == GOOD


@pytest.mark.parametrize(("place", "word"), [*enumerate(WORDS)])
def test_the_most_serious_outcome_is_that_of_all_in_any_order(place, word):
    less = WORDS[place:]
    assert worst(less) == worst(reversed(less)) == word


def test_nothing_at_all_is_invalid():
    assert worst([]) == "invalid"


def test_a_word_that_is_not_known_is_never_good():
    assert worst(["proven", "fine"]) == "failed"
    assert worst(["fine", "running"]) == "running"

"""Wrong programs are noticed. All of them: `make conformance-mutants`."""
from orthonorm.conformance.questions import operations
from tests.conformance import mutants


def test_one_wrong_program_in_twenty_is_noticed():
    rows = list(mutants.rows(step=20))
    assert len(rows) >= 10
    assert all(noticed for noticed, _ in rows), [line for noticed, line in rows if not noticed]


def test_the_right_programs_are_right():
    """What is noticed are the mistakes: without them nothing fails."""
    for name in operations()[::3]:
        if mutants.offered(name):
            assert not mutants.notices({name: mutants.right(name)})


def test_the_table_has_all_wrong_programs_and_says_that_all_are_noticed():
    head, _, *lines = mutants.TABLE.read_text().splitlines()
    number = len(list(mutants.mutants()))
    assert number >= 200 and len(lines) == number
    assert head.startswith(f"{number} wrong programs, {number} noticed.")


def test_a_right_program_would_be_said_to_be_missed():
    assert mutants.notices({"cayley": mutants.right("cayley")}) == []

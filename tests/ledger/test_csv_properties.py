"""Whatever text is in a ledger comes back from its CSV file, as whichever program leaves it.

More edits with `python -m skalss.benchmarks csv-edits --files 2000`.
"""

import hashlib
import os
import tempfile
import warnings
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skalss import Ledger
from skalss.benchmarks.csv_edits import one_file
from skalss.ledger.cells import guard, looks_like, unguard
from skalss.ledger.store import Store, now
from skalss.oracles import ABSTAIN, Abstain, Failed
from skalss.utils.scalars import to_json

FACTOR = int(os.environ.get("SKALSS_TEST_EXAMPLES", "1"))
TEXT = st.one_of(
    st.text(max_size=12, alphabet=st.characters(exclude_categories=["Cs"])),
    st.text(max_size=6, alphabet="=+-@'\t\r\n ,;\"01eE.aN"),
    st.sampled_from(["007", "1e5", "TRUE", "NA", "None", "nan", "null", "", "=1+1", "'", "''=", "\ufeff"]),
)
ANSWERS = st.one_of(
    TEXT, st.just(None), st.just(ABSTAIN), st.builds(Abstain, TEXT), st.builds(Failed, TEXT, st.booleans())
)


def examples(number):
    return settings(
        max_examples=number * FACTOR,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )


@examples(300)
@given(text=TEXT)
def test_a_guarded_text_comes_back_and_is_no_formula(text):
    assert unguard(guard(text)) == text
    assert guard(text)[0] not in "=+-@\t\r"
    assert looks_like(text, text)


def make(path, ids):
    store = Store(path, {"task": "classification", "dtype": "<f8", "shape": []})
    with store.writing():
        store.add("campaigns", [("settings", "pool", 0, "", now())])
        store.add(
            "items", [(to_json(id_, "id"), hashlib.md5(id_.encode()).hexdigest(), "pool") for id_ in ids]
        )
        store.add("requests", [(1, i + 1, 1, 0, "S", None, 0, "null", now(), "") for i in range(len(ids))])
    store.close()


@examples(40)
@given(
    rows=st.lists(st.tuples(TEXT, ANSWERS, TEXT), min_size=1, max_size=6, unique_by=lambda row: row[0]),
    order=st.randoms(use_true_random=False),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_any_text_in_any_state_comes_back(rows, order, encoding):
    columns = ["id", "state", "label", "reason", "annotator", "charged"]
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of labels that are alike
        first, second, sheet = (Path(folder) / name for name in ("first", "second", "sheet.csv"))
        ids = [id_ for id_, _, _ in rows]
        make(first, ids)
        with Ledger(first) as ledger:
            for id_, answer, annotator in rows:
                ledger.answer(id_, answer, annotator=annotator)
            ledger.to_csv(sheet)
            expected = ledger.to_frame().set_index("id")
            assert ledger.read_csv(sheet) == 0  # nothing new
        sheet.write_bytes(sheet.read_bytes().decode().encode(encoding))
        order.shuffle(ids)
        make(second, ids)
        with Ledger(second) as ledger:
            assert ledger.read_csv(sheet) == len(rows)
            found = ledger.to_frame().set_index("id").loc[expected.index]
    assert found[columns[1:]].to_dict() == expected[columns[1:]].to_dict()


@examples(40)
@given(seed=st.integers(0, 2**31))
def test_no_edit_loses_or_misreads_an_answer(seed):
    with tempfile.TemporaryDirectory() as folder:
        counts = one_file(Path(folder), seed)
    assert {
        name: counts[name] for name in ("lost", "misread", "twice", "refused", "formulas")
    } == dict.fromkeys(("lost", "misread", "twice", "refused", "formulas"), 0)

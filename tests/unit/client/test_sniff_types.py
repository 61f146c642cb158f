"""Types of columns: a word for each, whatever the values; what binary files declare; nothing invented."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.chain.transactions import ColumnType
from hansa.client import sniff_types as types
from hansa.client.sniff_tables import parquet_columns

KNOWN = set(ColumnType.__args__)
TEXTS = st.sampled_from(
    ["", "1", "-7", "007", "1.5", "2026-01-01", "10:30", "true", "POINT (1 2)", "x"]
) | st.text(max_size=12)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        (" ", ""),
        ("0", "integer"),
        ("-12", "integer"),
        ("0041791234567", "text"),
        ("1.50", "number"),
        ("0,5", "number"),
        ("1e-3", "number"),
        ("TRUE", "boolean"),
        ("2026-01-31", "date"),
        ("31.01.2026", "date"),
        ("2026-01-31T10:00:00Z", "time"),
        ("10:30", "time"),
        ("MULTIPOLYGON (((1 2", "geometry"),
        ("Main Street 1", "text"),
        ("٣", "text"),
        ("1" * 5_000, "text"),
    ],
)
def test_one_value(text, expected):
    """A number with leading zeros is a name, not a number; only digits of ASCII count."""
    assert expected == types.text_type(text)


@given(st.lists(TEXTS, max_size=8), st.randoms(use_true_random=False))
def test_order_and_empty_cells_do_not_matter(cells, draw):
    """The type of a column follows from its values as a set."""
    shuffled = [*cells, "", " "]
    draw.shuffle(shuffled)

    def join(values):
        found = ""
        for value in values:
            found = types.join_types(found, types.text_type(value))
        return found

    assert join(shuffled) == join(sorted(set(cells)))
    assert join(cells) in KNOWN


@given(
    st.sampled_from(sorted(KNOWN)), st.sampled_from(sorted(KNOWN)), st.sampled_from(sorted(KNOWN))
)
def test_joining_is_a_set_operation(one, two, three):
    """Commutative, associative, idempotent; the unknown adds nothing."""
    join = types.join_types
    assert join(one, two) == join(two, one)
    assert join(join(one, two), three) == join(one, join(two, three))
    assert one == join(one, one) == join(one, "")


def test_csv():
    """Rows of another width are passed over; a last line that may be cut does not count."""
    text = 'id,name,,at\n1,"a, b",x,2026-01-01\n2,c\n3,d,y,2026-01-02 10:00\n4,e,z,2026-0'
    assert ("integer", "text", "time") == types.csv_types(text, ",")
    assert ("",) == types.csv_types("a\n", ",")
    assert () == types.csv_types("", ",")


@given(st.text(max_size=200), st.sampled_from(",;\t|"))
def test_any_text_gives_known_words(text, delimiter):
    """Nothing raises, nothing but the known words comes out."""
    assert set(types.csv_types(text, delimiter)) <= KNOWN


@given(
    st.lists(
        st.dictionaries(
            st.text(max_size=3), st.none() | st.booleans() | st.integers() | st.floats() | st.text()
        ),
        max_size=5,
    )
)
def test_json(objects):
    """Objects in an array are found as a parser finds them; names and types are told of all."""
    text = json.dumps(objects)
    found = types.object_types(types.following_objects(text, text.find("{")))
    assert {name for item in objects for name in item} == set(found)
    assert set(found.values()) <= KNOWN
    assert found == types.object_types(objects)


def test_json_values():
    """Numbers of both kinds are numbers; a place is a geometry; a text of digits stays a text."""
    told = [{"n": 1, "s": "1", "p": {"type": "Point", "coordinates": [1]}, "l": [], "b": True}]
    told.append({"n": 1.5, "s": None, "d": "2026-01-01"})
    expected = {"n": "number", "s": "text", "p": "geometry", "l": "object", "b": "boolean"}
    assert expected | {"d": "date"} == types.object_types(told)
    assert [{}] == list(types.json_objects("{} 3 [", [0, 3, 5]))
    assert [] == list(types.following_objects("[" * 100_000, 0))


@pytest.mark.parametrize(
    ("letter", "decimals", "expected"),
    [("N", 0, "integer"), ("N", 2, "number"), ("D", 0, "date"), ("C", 0, "text"), ("?", 0, "")],
)
def test_dbase(letter, decimals, expected):
    """By letter and decimals."""
    assert expected == types.dbase_type(ord(letter), decimals)


FOOTER = base64.b85decode(
    "6$BZ4H2@d}b7N>_ZDAD*02Kr!0vH8%Xm4y~02K-)0vH5vVRCc;6$~W;7zA!%ZDl0@OdJ3J02Kfw0vH2%Wpe-"
    "(0wn?%17u-&B@9e#0000L1SJ9(0%3F|5=@K|92@`u0000M0vQ|`Y$gC46$BY21^^it1$Ss~Y-JSy76KMR7D6"
    "TnNgNdb6#x|i06ZxM872S%0000c02~zx86^e)85jg`VRCd802TrkLKZ?MN=Y0Q02Kfg0suTI1{o#*0ssI2CI"
    "B223>hT`02vqrZeeX@6#y0j7CaU_CX4||92Ec+02KlNJQe~O1{o#*0ssI2CIB2202w6)02vqqd1Z4I02TrkG"
    "!`@_$N@<l6#x|g6#@V}DFzuP00IC2044w&6#^M01^^it17u-&6#y0j7CII>Cj0?O92Ec+02KlNJShelCIA8e"
    "001Tc92Eo^B?bT)7y@B*6#y0j7D5(6Cbj}e92Ec+02KlNJShelCIA8e000*70u}-$2o~@H04N}EVRCVGWppi"
    "LaBwYQa&m8XAa-SPb7^mGATl;CFfK6}Y#aap8~^|u000~S02}}S8~^|SzySaNP(e~L"
)
"""Of a file that pyarrow 26.0.1 wrote: int64, double, string, bool, date32, timestamp in milliseconds."""


def test_parquet_as_another_library_writes_it():
    """The types that its footer declares, one by one."""
    found = parquet_columns(lambda at, size: FOOTER[at : at + size], len(FOOTER))
    assert ["whole", "part", "name", "yes", "day", "at"] == list(found)
    assert ["integer", "number", "text", "boolean", "date", "time"] == list(found.values())


def test_parquet_types():
    """The converted type says more than the physical one; bytes without it may be anything."""
    assert "text" == types.parquet_type(6, 0)
    assert "date" == types.parquet_type(1, 6)
    assert "integer" == types.parquet_type(1, 17)
    assert "" == types.parquet_type(6, None)
    assert "" == types.parquet_type(None, None)

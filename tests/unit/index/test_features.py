"""Features: small integers, the same everywhere, alike for what is alike."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa import limits
from hansa.errors import InvalidError
from hansa.index.features import (
    FEATURES,
    Described,
    compute_features,
    compute_words,
    count_words,
    derive,
    validate_features,
)
from hansa.types import Box, Interval

BUS = Described(
    title="Bus stops",
    description="Location of every bus stop with routes and timetable, GTFS",
    keywords=("bus", "transit"),
    themes=("Transport",),
    formats=("csv",),
)
GOLDEN_BUS = (14, -31, 90, 23, -7, 8, 11, -1, -3, -1, -4, 1, -1, 3, 1, 0, 0, 0, 0, 0)

TREES = Described(
    title="Baumkataster", description="Bäume der Stadt Zürich", themes=("Umwelt",), formats=("csv",)
)
GOLDEN_TREES = (29, -28, -8, -20, 0, 5, 53, 26, 46, -10, 27, 13, 16, 18, 17, -22, 0, 0, 0, 0)
ENGLISH = (
    "air pollution",
    "school children",
    "parking charging",
    "hospital patients",
    "municipality budget expenditure",
    "tree park",
)
TITLES = {
    "de": ("Luftqualität Feinstaub", "Schulen Kinder", "Parkplätze Ladestationen", "Spitäler Patienten", "Gemeinden Ausgaben", "Baumbestand Grünflächen"),
    "fr": ("polluants atmosphériques", "écoles enfants", "stationnement bornes", "hôpitaux malades", "communes dépenses budgétaires", "arbres jardins"),
    "es": ("contaminantes aire", "escuelas niños", "aparcamientos recarga", "hospitales pacientes", "municipios presupuesto gastos", "arbolado parques"),
    "it": ("inquinamento aria", "scuole bambini", "parcheggi ricarica", "ospedali pazienti", "comuni bilancio spese", "alberi giardini"),
    "pt": ("poluentes atmosférica", "escolas crianças", "estacionamento carregamento", "hospitais pacientes", "municípios orçamento despesas", "árvores jardins"),
    "nl": ("luchtkwaliteit fijnstof", "scholen kinderopvang", "parkeren laadpalen", "ziekenhuizen patiënten", "gemeenten begroting uitgaven", "bomen parken"),
    "pl": ("zanieczyszczenia powietrza", "szkoły dzieci", "parkingi ładowania", "szpitale pacjenci", "gminy budżet wydatki", "drzewa parki"),
    "sv": ("luftkvalitet föroreningar", "skolor barnomsorg", "parkeringar laddstationer", "sjukhus patienter", "kommuner utgifter", "träd parker"),
    "ru": ("загрязнение воздуха", "школы дети", "парковки зарядные", "больницы пациенты", "бюджет расходы муниципалитет", "деревья парки"),
    "zh": ("空氣污染", "學校兒童", "停車充電", "醫院疾病", "市政預算支出", "行道樹公園"),
}  # fmt: skip


def distance(left, right):
    return sum((a - b) ** 2 for a, b in zip(left, right, strict=True))


def test_golden_features():
    """Feature model 1 gives these numbers, on every machine and for ever."""
    assert GOLDEN_BUS == compute_features(BUS, 1)


def test_golden_features_of_model_2():
    """Feature model 2 gives these numbers: the same where no word is of its glossary and no type is told."""
    assert GOLDEN_BUS == compute_features(BUS, 2)
    assert GOLDEN_TREES == compute_features(TREES, 2)


@pytest.mark.parametrize(("language", "titles"), TITLES.items())
def test_other_languages_lie_near_the_english_words(language, titles):
    """A title in each language lies nearer to its English one than to the others', as it does not in model 1."""
    english = [compute_features(Described(title), 2) for title in ENGLISH]
    placed = [compute_features(Described(title), 2) for title in titles]
    for number, place in enumerate(placed):
        nearest = min(range(len(english)), key=lambda k: distance(place, english[k]))
        assert number == nearest, titles[number]
    before = [
        [
            distance(compute_features(Described(t), 1), compute_features(Described(e), 1))
            for e in ENGLISH
        ]
        for t in titles
    ]
    found = sum(row.index(min(row)) == number for number, row in enumerate(before))
    assert found < len(titles), f"{language} needs no glossary"


def test_types_and_size_are_in_model_2_only_and_only_with_columns():
    """Types move the meaning, size the kind by at most two; withheld with the columns' names."""
    told = replace(TREES, columns=("id", "planted"), column_types=("integer", "date"))
    without, typed = (compute_features(item, 2) for item in (replace(told, column_types=()), told))
    assert without[16:] == typed[16:]
    assert 0 < distance(without, typed) < 1_160
    sizes = {compute_features(replace(told, content_bytes=size), 2) for size in (1, 99_999)}
    assert {(*typed[:19], typed[19] - 2)} == sizes
    for size, step in ((0, 0), (100_000, -1), (9_999_999, 0), (10**7, 1), (10**8, 2), (2**62, 2)):
        found = compute_features(replace(told, content_bytes=size), 2)
        assert (*typed[:19], typed[19] + step) == found
    large = replace(told, content_bytes=10**9)
    assert compute_features(told, 1) == compute_features(large, 1)
    assert compute_words(told) == compute_words(replace(large, column_types=()))
    withheld = replace(large, columns=(), column_types=("date",))
    assert compute_features(TREES, 2) == compute_features(withheld, 2)


def test_the_glossary_moves_no_word_of_a_description():
    """What is asked for by words stays what is written; and a word counts within its bound."""
    assert compute_words(TREES) == derive(TREES, 2).words
    shouted = Described("Baum " * 9, "Bäume " * 9 + "tree " * 9, keywords=("baum", "bäume"))
    validate_features(compute_features(shouted, 2), 2)


def test_like_is_near():
    """A second transit dataset is nearer than a restaurant inspection."""
    tram = Described(title="Tram timetable", description="Public transit stops and routes")
    food = Described(title="Restaurant inspections", description="Food hygiene violations, grades")
    here, near, far = map(compute_features, (BUS, tram, food))
    assert 2 * distance(here, near) < distance(here, far)


@settings(max_examples=60)
@given(
    st.text(max_size=80),
    st.text(max_size=300),
    st.lists(st.text(max_size=20), max_size=5),
    st.integers(-(2**61), 2**61),
)
def test_any_text_is_in_range(title, description, keywords, start):
    """Whatever is described, the features are valid and their number is fixed."""
    box = Box(-180_000_000, -90_000_000, 180_000_000, 90_000_000)
    described = Described(
        title, description, keywords, box=box, interval=Interval(start, start + 5), formats=keywords
    )
    validate_features(compute_features(described))


def test_place_time_and_kind_have_their_own_features():
    """The last four features are middle longitude, latitude, year and kind of data."""
    box = Box(16_000_000, 48_000_000, 16_000_000, 48_000_000)
    interval = Interval(1_577_836_800_000, 1_577_836_800_000)
    described = Described("", box=box, interval=interval, formats=("GeoJSON",))
    assert (2, 8, 10, 12) == compute_features(described)[-4:]
    south = Described("", box=Box(-16_000_000, -48_000_000, -16_000_000, -48_000_000))
    assert (-2, -8, 0, 0) == compute_features(south)[-4:]
    assert (0,) * FEATURES == compute_features(Described(""))


def test_hostile_descriptions_are_bounded():
    """Words beyond 512 are not counted; a word counts a bounded number of times."""
    described = Described("x " * 500, "y " * 9_000 + " ".join(f"w{n}" for n in range(9_000)))
    weights = count_words(described)
    assert 512 == len(weights)
    assert (3, 7) == (weights["x"], weights["y"])


def test_words_are_bounded():
    """At most WORDS_MAX words; those of title, keywords and themes first."""
    text = " ".join(f"w{number}" for number in range(9_000))
    words = compute_words(Described("title words", text, themes=("theme",)))
    assert limits.WORDS_MAX == len(words)
    assert {"title", "words", "theme"} <= set(words)
    assert list(words) == sorted(set(words))


def test_words_of_all_texts():
    """Words are of every public text, sorted."""
    described = Described(
        "Bus", "b c", ("d",), ("E",), "Lübeck", columns=("stop_id",), rhythm="monthly"
    )
    assert ("b", "bus", "c", "d", "e", "id", "lübeck", "monthly", "stop") == compute_words(
        described
    )


def test_the_rhythm_counts_as_a_word():
    """Datasets brought up to date as often lie a little nearer; none told changes nothing."""
    plain, daily = Described("Air quality"), Described("Air quality", rhythm="daily")
    assert compute_features(plain) == compute_features(Described("Air quality", rhythm=""))
    assert compute_features(plain) != compute_features(daily)
    assert compute_features(Described("Air quality", "daily")) == compute_features(daily)


@pytest.mark.parametrize(
    ("features", "model"),
    [((0,) * 19, 1), ((128,) + (0,) * 19, 1), ((-128,) + (0,) * 19, 1), ((0,) * 20, 3)],
)
def test_bad_features_are_invalid(features, model):
    """Length, range and model are checked; the neighbour of each bad case is good."""
    validate_features((-127, 127, *(0,) * 18))
    with pytest.raises(InvalidError):
        validate_features(features, model)

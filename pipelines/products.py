"""Reads drug texts: which opioid, how strong, in what form, by which route, released how.

A name counts as whole words only (dihydrocodeine is no codeine, ipratropium no opium), and of the numbers in
a text only those that stand for the opioid. A route that the text leaves out is told by the labels, where all
products that it can be share one. What a text does not say, or says in two ways, is unknown, with the reason.
"""

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, TypeVar

import polars as pl

from pipelines import flat_file, paths
from pipelines.errors import ExtractError

Value = TypeVar("Value")

SCHEMA = {
    "drug_text": pl.String,
    "ingredient": pl.String,
    "strength": pl.Float64,
    "strength_unit": pl.String,
    "route": pl.String,
    "form": pl.String,
    "release": pl.String,
    "is_combination": pl.Boolean,
    "reason": pl.String,
}

# Rounding that a strength is allowed against a label: 0.67 for 10 mg/15 mL, 4.8 for 4.8355.
LABEL_TOLERANCE = 0.01

# One spelling for each unit, one hyphen, one blank; bounded repeats keep a text of any length linear.
SPELLINGS: list[tuple[str, str | Callable[[re.Match[str]], str]]] = [
    (r"(?:[µμ]g|(?<![a-z])ug|mcgm|micrograms?)\b", "mcg"),
    (r"milligrams?\b", "mg"),
    (r"millilit(?:er|re)s?\b", "ml"),
    (r"(?<=[\d /])(?:hours?|hrs|h)\b", "hr"),
    (r" per ", "/"),
    (r"[\u2010-\u2015]", "-"),
    (r"\s+", " "),
    # 1,200 is thousands; 12,5 and 0,025 have a decimal comma; 5,10 is neither and stays unread
    (r"\b([1-9]\d{0,2}),(?=\d{3}\b)", r"\1"),
    (r"\b(0,(?=\d{1,9}\b)|\d{1,9},(?=\d\b))", lambda match: match[0].replace(",", ".")),
    # the product with VC has phenylephrine between promethazine and codeine
    (r"promethazine vc\b", "promethazine-phenylephrine"),
    # Cheratussin DAC in the order in which it is listed; RxNorm: codeine 2, guaifenesin 20, pseudoephedrine 6 mg/mL
    (r"cheratussin dac(?= 30-10-100\b)", "pseudoephedrine-codeine-guaifenesin"),
]
SPELLINGS_COMPILED = [(re.compile(pattern), replacement) for pattern, replacement in SPELLINGS]

# A strength such as 5-325 mg, 300 mg-30 mg/12.5 ml or 25 mcg/hr. A number glued to a letter or to # belongs
# to a name (A500, PT72, Q72H, #3); a run of digits too long for a strength is none.
DIGITS = r"(?:\d{1,9}(?:\.\d{1,9})?|\.\d{1,9})"
NUMBER = rf"(?<![a-z0-9.#])(?<!\d,){DIGITS}(?![\d.]*\d)"
ELEMENT = re.compile(
    rf"({NUMBER})(?: ?-?(mg|mcg|gm?|%|ml|l|hr|actuat|units?|meq|drops?)(?![a-z]))?"
    rf"(?: ?/ ?(?:({DIGITS})? ?(ml|hr|actuat|spray)|tab(?:let)?|cap(?:sule)?|patch)(?![a-z]))?"
)
BETWEEN = re.compile(r" ?[-/] ?(?=[.\d])")

# Tylenol with Codeine #3, No. 3; #30 counts tablets.
LABEL_NUMBER = re.compile(r"(?:#|\bno\.?) ?(\d)(?![\d.])")

MILLIGRAMS = {"mg": Fraction(1), "mcg": Fraction(1, 1000), "g": Fraction(1000), "gm": Fraction(1000)}

SEPARATOR = re.compile(r"w/|[-/&+|,;]|\b(?:with|and|in)\b")
SALT_WORDS = """
    hydrochloride hcl sulfate sulphate sulf phosphate phos phosphat bitartrate bit tartrate tart citrate
    acetate lactate napsylate terephthalate polistirex maleate methylbromide
"""
# Words beside an ingredient that name none: forms, routes, releases, diluents.
FILLER_WORDS = """
    oral tablet tablets tab tabs capsule capsules cap caps solution soln sol suspension susp liquid elixir
    syrup syrp conc concentrate syringe syrg vial amp ampule ampul injection injectable inj cartridge patch
    transdermal system film lozenge spray suppository supp powder bag premix cup udcup ud pack po iv im sc td
    sl pr pca pcea ivpca epidural intravenous sublingual buccal nasal rectal er xr xl sr cr la ir hp pf ms
    extended sustained controlled immediate release preservative free nacl sodium chloride dextrose ns abuse
    deterrent mg mcg g gm ml hr a no troche tincture
"""
SALTS = frozenset(SALT_WORDS.split())
FILLERS = SALTS | frozenset(FILLER_WORDS.split())
PARTNERS = re.compile(
    r"\b(?:acetaminop\w{0,9}|apap|tylenol|paracetamol|aspirin|asa|ibuprofen|celecoxib|caff?(?:eine)?|butalbital|"
    r"butabarbital|carisoprodol|naloxone|naltrexone|homatropine|atropine|guaifenesin|guaiacolsulfonate|promethazine|"
    r"\w{0,9}pheniramine|bpm|carbinoxamine|pseudoephedrine|pse|phenyleph(?:rine)?|belladonna|bupivacaine|ropivacaine|"
    r"a\.p\.c)\b"
)
# A mixture made up in a pharmacy has no label, and goes into a vein or beside the spinal cord alike.
MIXED = re.compile(r"\b(?:sodium chlor\w{0,3}|na ?cl|saline|dextrose|bupivacaine|ropivacaine|liposom\w{0,3})\b")

# The first that a text holds.
ROUTES = {
    "epidural": r"epidural|pcea",
    "intrathecal": r"intrathecal",
    "transdermal": r"transdermal|td|patch(?:es)?|pt72",
    "sublingual": r"sublingual|sl",
    "buccal": r"buccal|mucosal|transmucosal|oromucosal|lozenges?|troches?",
    "rectal": r"rectal|supp|suppository|suppositories",
    "nasal": r"nasal|intranasal",
    "inhaled": r"inhaled|inhalation|nebuli[sz]ed|neb",
    "topical": r"topical|cream|ointment",
    "parenteral": r"injection|injectable|inj|intravenous|intramuscular|subcutaneous|iv|im|sc|subcut|pca|ivpca"
    r"|infusion|drip|vial|amp|ampul|ampule|prefilled|auto-injector|cartridge|premix|implant",
    "oral": r"oral|po|elixir|syrup|syrp|liquid|cup|udcup|tincture|extended release suspension",
}
# These are swallowed, unless the opioid has labels for another route in that form.
SWALLOWED = re.compile(r"(?<![a-z])(?:tabs?|tablets?|caps?|capsules?)(?![a-z])")
FORMS = {
    "patch": r"patch(?:es)?|transdermal system|pt72",
    "film": r"film",
    "lozenge": r"lozenges?|troches?",
    "spray": r"spray|spry",
    "suppository": r"supp|suppository|suppositories",
    "implant": r"implant",
    "tablet": r"tabs?|tablets?",
    "capsule": r"caps?|capsules?",
    "injection": r"injection|injectable|inj|vial|amp|ampul|ampule|prefilled|cartridge|auto-injector|premix"
    r"|subcutaneous",
    "powder": r"powder",
    "suspension": r"suspension|susp",
    "solution": r"solution|soln|liquid|elixir|syrup|syrp|cup|udcup|tincture",
    "syringe": r"syringe|syrg",
}
# A solution may be drunk or injected, and so may what is in a syringe: the labels' forms that a text's can be.
LABEL_FORMS = {"solution": ("solution", "injection"), "syringe": ("injection", "solution")}
# Patches count as extended release, as in the FDA's class of extended-release and long-acting opioids.
RELEASES = {
    "extended": r"(?:extended|sustained|controlled)[ -]release|er|xr|xl|sr|cr|la"
    r"|patch(?:es)?|transdermal system|pt72",
    "immediate": r"immediate[ -]release|ir",
}


def _compiled(words: dict[str, str]) -> dict[str, re.Pattern[str]]:
    return {meaning: re.compile(rf"(?<![a-z])(?:{pattern})(?![a-z])") for meaning, pattern in words.items()}


ROUTE_PATTERNS, FORM_PATTERNS, RELEASE_PATTERNS = _compiled(ROUTES), _compiled(FORMS), _compiled(RELEASES)


class Name(NamedTuple):
    """An opioid name found in a text; ``position`` is that of its last word."""

    position: int
    ingredient: str
    release: str | None
    route: str | None
    is_brand: bool


class Component(NamedTuple):
    """What stands before a strength between two separators: an ingredient with its salt, or a brand."""

    is_opioid: bool
    is_brand: bool
    salts: frozenset[str]


class Amount(NamedTuple):
    """A strength: milligrams, or a bare number without a unit, or a share (percent) that is no strength."""

    value: Fraction
    unit: str | None
    per: str | None = None

    @property
    def label(self) -> str | None:
        return None if self.unit is None else "/".join(filter(None, (self.unit, self.per))).upper()

    @property
    def milligrams(self) -> tuple[Fraction, str | None]:
        return self.value * MILLIGRAMS.get(self.unit or "", 1), self.per


class Strength(NamedTuple):
    amount: Amount | None
    is_combination: bool
    reason: str | None


class Names:
    """The opioid names of a table of names, ready to be found in texts."""

    def __init__(self, opioid_name: pl.DataFrame) -> None:
        rows = opioid_name.select("word", "ingredient", "release", "route").rows()
        self._known = {word: told for word, *told in rows}
        longest_first = sorted(self._known, key=len, reverse=True)
        words = "|".join(word.replace(" ", "[^a-z]+") for word in longest_first)
        self._pattern = re.compile(rf"(?<![a-z])(?:{words})(?![a-z])")

    def found_in(self, text: str) -> list[Name]:
        found = []
        for match in self._pattern.finditer(text):
            word = re.sub("[^a-z]+", " ", match[0])
            ingredient, release, route = self._known[word]
            position = match.end() - len(word.split()[-1])
            found.append(Name(position, ingredient, release, route, is_brand=word != ingredient))
        return found


class Label(NamedTuple):
    """A product as its label has it; ``per_ml`` where the strength is a concentration."""

    is_combination: bool
    route: str | None
    form: str
    strength_mg: float
    per_ml: bool
    number: str | None


class Labels:
    """The labelled opioid products, ready to tell what a text leaves out."""

    def __init__(self, label_strength: pl.DataFrame) -> None:
        self._labels: dict[tuple[str, str], list[Label]] = defaultdict(list)
        unit = pl.col("strength_unit")
        rows = label_strength.with_columns(
            pl.col("is_combination").cast(pl.String) == "true",
            strength_mg=pl.col("strength").cast(pl.Float64)
            / pl.when(unit.str.starts_with("MCG")).then(1000).otherwise(1),
            per_ml=unit.str.ends_with("/ML"),
            number=pl.col("label_number"),
        )
        for row in rows.select("ingredient", *Label._fields).iter_rows():
            label = Label(*row[1:])
            self._labels[row[0], label.form].append(label)

    def of(self, ingredient: str, form: str) -> list[Label]:
        return [label for known in LABEL_FORMS.get(form, (form,)) for label in self._labels[ingredient, known]]


def read(
    drug_text: pl.DataFrame, opioid_name: pl.DataFrame | None = None, label_strength: pl.DataFrame | None = None
) -> pl.DataFrame:
    """Read each distinct drug text once.

    RxNorm names, hospital strings, brand names and generic names with a form are read: "12 HR morphine sulfate
    15 MG Extended Release Oral Tablet", "OXYCODONE-ACETAMINOPHEN 5-325 MG TAB", "Percocet 5-325 mg",
    "Acetaminophen/Hydrocodone Bitartrate Tablet". The strength is the label's, salt included, since conversion
    factors apply to it. In a list of strengths the opioid's is the one at the place of its name. The route is
    the text's; else the brand's; else that of all labelled products of the opioid in this form (of this
    strength, and with a partner where one is named); else a tablet and the like are swallowed.

    Args:
        drug_text: Column ``drug_text``; a text may be there many times.
        opioid_name: ``reference.opioid_name`` (word, ingredient, release, route); by default the project's own.
        label_strength: ``reference.label_strength``; by default the project's own.

    Returns:
        One row per distinct text, sorted by it: drug_text, ingredient, strength, strength_unit (MG, MCG, or
        either per ML, HR, ACTUAT or SPRAY), route, form, release (extended, immediate, or null where the text
        does not say), is_combination (a second ingredient is named or has a strength) and reason, the first
        thing that is unknown: no_opioid_name, several_opioids, several_strengths, ambiguous_strength,
        no_strength_unit, no_strength or no_route. A text without exactly one opioid is read no further.
    """
    names = Names(_reference("opioid_name") if opioid_name is None else opioid_name)
    labels = Labels(_reference("label_strength") if label_strength is None else label_strength)
    texts = drug_text["drug_text"].drop_nulls().unique().sort()
    return pl.DataFrame([_read_one(text, names, labels) for text in texts], schema=SCHEMA, orient="row")


def read_file(table: Path, column: str, out: Path) -> None:
    """Read the drug texts of one column of a file and write what they say.

    Args:
        table: CSV or Parquet.
        column: Its column of drug texts.
        out: CSV or Parquet to write, by its suffix: one row per distinct text, with drug_text, ingredient, strength,
            strength_unit, route, form, release and reason.

    Raises:
        ExtractError: The file is missing or cannot be read, has no such column, or is itself what to write.
        WorkspaceError: The output cannot be written.
    """
    if out.resolve() == table.resolve():
        raise ExtractError(f"{out}: is the file to read. Write to another one.")
    texts = flat_file.read(table, [column]).select(drug_text=pl.col(column).cast(pl.String))
    flat_file.write(read(texts).drop("is_combination"), out)


def _reference(table: str) -> pl.DataFrame:
    return pl.read_csv(paths.SQL / "1_reference" / f"{table}.csv", infer_schema=False)


def _read_one(drug_text: str, names: Names, labels: Labels) -> tuple[object, ...]:
    text = _plain(drug_text)
    found = names.found_in(text)
    ingredients = {name.ingredient for name in found}
    if len(ingredients) != 1:
        reason = "several_opioids" if ingredients else "no_opioid_name"
        return drug_text, *[None] * (len(SCHEMA) - 2), reason
    [ingredient] = ingredients
    form = _first(FORM_PATTERNS, text)
    labelled = labels.of(ingredient, form) if form else []
    strength = _strength(text, found)
    is_combination = strength.is_combination or PARTNERS.search(text) is not None
    if strength.reason == "no_strength" and is_combination:
        strength = _numbered(text, labelled) or strength
    amount = strength.amount
    route = _first(ROUTE_PATTERNS, text) or _only(name.route for name in found if name.route)
    if route is None and not MIXED.search(text):
        is_named_alone = is_combination or not any(name.is_brand for name in found)
        route = _only(_routes(labelled, amount, is_combination if is_named_alone else None))
    if route is None and SWALLOWED.search(text) and all(label.route == "oral" for label in labelled):
        route = "oral"
    if form in LABEL_FORMS and route:
        form = _only(label.form for label in labelled if label.route == route) or form
    return (
        drug_text,
        ingredient,
        None if amount is None else float(amount.value),
        None if amount is None else amount.label,
        route,
        None if form == "syringe" else form,
        _release(text, found),
        is_combination,
        strength.reason or (None if route else "no_route"),
    )


def _only(values: Iterable[Value]) -> Value | None:
    """The one value there is; None where there are none or several."""
    different = set(values)
    return different.pop() if len(different) == 1 else None


def _routes(labelled: Sequence[Label], amount: Amount | None, is_combination: bool | None) -> set[str | None]:
    """Routes of the labelled products that the text can be."""
    if len({label.route for label in labelled}) > 1 and amount is not None and amount.unit:
        value, per = amount.milligrams
        labelled = [
            label
            for label in labelled
            if label.per_ml == (per == "ml") and round(abs(value / label.strength_mg - 1), 6) <= LABEL_TOLERANCE
        ]
    if len({label.route for label in labelled}) > 1 and is_combination is not None:
        labelled = [label for label in labelled if label.is_combination == is_combination]
    return {label.route for label in labelled}


def _numbered(text: str, labelled: Sequence[Label]) -> Strength | None:
    """The strength of a product that goes by a number, as Tylenol with Codeine #3."""
    number = _only(match[1] for match in LABEL_NUMBER.finditer(text))
    strength = _only(label.strength_mg for label in labelled if label.number and label.number == number)
    return Strength(Amount(Fraction(strength), "mg"), True, None) if strength else None


def _plain(drug_text: str) -> str:
    text = drug_text.lower()
    for pattern, replacement in SPELLINGS_COMPILED:
        text = pattern.sub(replacement, text)
    return text.strip()


def _first(patterns: dict[str, re.Pattern[str]], text: str) -> str | None:
    return next((meaning for meaning, pattern in patterns.items() if pattern.search(text)), None)


def _release(text: str, found: Iterable[Name]) -> str | None:
    told = {meaning for meaning, pattern in RELEASE_PATTERNS.items() if pattern.search(text)}
    told |= {name.release for name in found if name.release}
    return told.pop() if len(told) == 1 else None


def _strength(text: str, found: Sequence[Name]) -> Strength:
    """The opioid's strength: what each list of strengths gives it, where all lists agree."""
    # A brand in brackets repeats what the name before it says, sometimes with a strength of its own.
    text = re.sub(r"\[[^\[\]]*\]", lambda match: " " * len(match[0]), text)
    lists = list(_lists(text))
    given: list[tuple[Amount, frozenset[str]]] = []
    bare: list[Amount] = []
    is_combination = is_ambiguous = False
    owners: list[Component] = []
    for named, (_, _, amounts) in zip(_named(text, lists, found), lists, strict=True):
        # Numbers right after a strength say again what it says: "(5mg-325mg) 5mg / 325mg Tablet".
        owners = named or owners
        shares = _shares(owners, amounts)
        if shares is None:
            is_ambiguous = True
            continue
        weighed = sum(amount.unit != "%" for amount in amounts)
        is_combination |= max(len(owners), weighed) > 1 or not shares
        if _has_unit(amounts):
            given += [(amount, owner.salts) for owner, amount in shares if amount.unit in MILLIGRAMS and amount.value]
        else:
            bare += [amount for _, amount in shares]
    amount = _agreed(given)
    if given:
        return Strength(amount, is_combination, None if amount else "several_strengths")
    if is_ambiguous:
        return Strength(None, is_combination, "ambiguous_strength")
    if len(set(bare)) == 1:
        return Strength(bare[0], is_combination, "no_strength_unit")
    return Strength(None, is_combination, "no_strength")


def _named(text: str, lists: Sequence[tuple[int, int, list[Amount]]], found: Sequence[Name]) -> list[list[Component]]:
    """The components each list of strengths is about: before it, or after it where the text begins so."""
    starts = [start for start, _, _ in lists]
    ends = [end for _, end, _ in lists]
    before = [_components(text, *span, found) for span in zip([0, *ends], starts, strict=False)]
    first = next((place for place, (_, _, amounts) in enumerate(lists) if _has_unit(amounts)), 0)
    if not lists or any(before[: first + 1]):
        return before
    return [_components(text, *span, found) for span in zip(ends, [*starts[1:], len(text)], strict=True)]


def _has_unit(amounts: Sequence[Amount]) -> bool:
    return any(amount.unit in MILLIGRAMS for amount in amounts)


def _lists(text: str) -> Iterable[tuple[int, int, list[Amount]]]:
    """Lists of strengths with where they begin and end; volumes, times and single bare numbers are none."""
    end = 0
    while first := ELEMENT.search(text, end):
        elements = [first]
        while (between := BETWEEN.match(text, elements[-1].end())) and (
            following := ELEMENT.match(text, between.end())
        ):
            elements.append(following)
        end = elements[-1].end()
        amounts = _amounts(elements)
        if _has_unit(amounts) or len(amounts) > 1:
            yield first.start(), end, amounts


def _amounts(elements: Sequence[re.Match[str]]) -> list[Amount]:
    """The numbers of one list. What one leaves out, the next one says: 5-325 mg, 300 mg-30 mg/12.5 ml."""
    amounts: list[Amount] = []
    unit = count = per = None
    for element in reversed(elements):
        number, own_unit, own_count, own_per = element.groups()
        unit = own_unit or unit
        if own_per:
            count, per = own_count, own_per
        divisor = Fraction(count or 1)
        if divisor and (unit is None or unit == "%" or unit in MILLIGRAMS):
            value = Fraction(number) / divisor
            is_gram = unit in ("g", "gm")
            amounts.append(Amount(value * 1000 if is_gram else value, "mg" if is_gram else unit, per))
    return amounts[::-1]


def _components(text: str, begin: int, end: int, found: Sequence[Name]) -> list[Component]:
    """The ingredients named between two strengths."""
    head = text[begin:end]
    outside = re.sub(r"\([^()]*\)", lambda match: " " * len(match[0]), head)
    if any(outside[name.position - begin].isalpha() for name in _between(found, begin, end)):
        head = outside  # a brand or a release in parentheses is no further ingredient
    components = []
    borders = [(0, 0), *(match.span() for match in SEPARATOR.finditer(head)), (len(head), len(head))]
    for (_, left), (right, _) in pairwise(borders):
        words = set(re.findall("[a-z]+", head[left:right]))
        names = _between(found, begin + left, begin + right)
        if words - FILLERS or names:
            is_brand = bool(names) and all(name.is_brand for name in names)
            components.append(Component(bool(names), is_brand, frozenset(words & SALTS)))
    return components


def _between(found: Sequence[Name], begin: int, end: int) -> Sequence[Name]:
    """The names that stand from ``begin`` up to ``end``; names are sorted by where they stand."""
    return found[bisect_left(found, (begin,)) : bisect_left(found, (end,))]


def _shares(owners: Sequence[Component], amounts: Sequence[Amount]) -> list[tuple[Component, Amount]] | None:
    """The opioid's numbers in a list of strengths; None where nobody can tell which they are."""
    if len(owners) != len(amounts):
        amounts = [amount for amount in amounts if amount.unit != "%"]
    if len(owners) == len(amounts):
        return [(owner, amount) for owner, amount in zip(owners, amounts, strict=True) if owner.is_opioid]
    if not any(owner.is_opioid for owner in owners):
        return []
    # A brand of two ingredients puts the opioid first ("LORCET 10-650 MG"). Cough mixtures do not always: the
    # first number is believed only where it is the smaller, since the partner in a painkiller weighs more.
    is_lone_brand = len(owners) == 1 and owners[0].is_brand
    if is_lone_brand and len(amounts) == 2 and amounts[0].milligrams[0] < amounts[1].milligrams[0]:
        return [(owners[0], amounts[0])]
    return None


def _agreed(given: Sequence[tuple[Amount, frozenset[str]]]) -> Amount | None:
    """The one strength that all say; two salts of one opioid in a product add up."""
    if len({amount.milligrams for amount, _ in given}) == 1:
        return given[0][0]
    salts = {salt for _, salt in given}
    units = {(amount.unit, amount.per) for amount, _ in given}
    if len(salts) == len(given) and frozenset() not in salts and len(units) == 1:
        unit, per = units.pop()
        return Amount(sum((amount.value for amount, _ in given), Fraction(0)), unit, per)
    return None

"""The trees of all campaigns, beside the columns and rows that campaigns have published.

Columns are those of galaxy-datasets 0.0.25 (`label_metadata`), of the catalogue of Euclid's Quick
Release 1 (Zenodo 15106473) and of Galaxy Zoo CANDELS, DESI, Hubble and 2 on Hugging Face; so are
the rows of votes.
"""

import numpy as np
import pytest

from galaxyvotes.config import LabelSettings
from galaxyvotes.sources.catalog import open_catalog
from galaxyvotes.tables.headers import Header
from galaxyvotes.tables.vote_layout import _whole as whole
from galaxyvotes.tables.vote_layout import campaigns, find_layout
from galaxyvotes.tree import DecisionTree

DISK = {
    "disk-edge-on": "yes no",
    "has-spiral-arms": "yes no",
    "spiral-winding": "tight medium loose",
}
DR5 = DISK | {
    "smooth-or-featured": "smooth featured-or-disk artifact",
    "bar": "strong weak no",
    "bulge-size": "dominant large moderate small none",
    "how-rounded": "round in-between cigar-shaped",
    "edge-on-bulge": "boxy none rounded",
    "spiral-arm-count": "1 2 3 4 more-than-4 cant-tell",
    "merging": "none minor-disturbance major-disturbance merger",
}
COSMIC_DAWN = DR5 | {
    "smooth-or-featured": "smooth featured-or-disk problem",
    "clumps": "yes no",
    "problem": "star artifact zoom",
    "artifact": "satellite scattered diffraction ray saturation other",
}
HUBBLE = DISK | {
    "smooth-or-featured": "smooth features artifact",
    "how-rounded": "completely in-between cigar-shaped",
    "clumpy-appearance": "yes no",
    "clump-count": "1 2 3 4 5-plus cant-tell",
    "bar": "yes no",
    "spiral-arm-count": "1 2 3 4 5-plus cant-tell",
}
GZ2 = DISK | {
    "smooth-or-featured": "smooth featured-or-disk artifact",
    "bar": "yes no",
    "bulge-size": "dominant obvious just-noticeable no",
    "something-odd": "yes no",
    "how-rounded": "round in-between cigar",
    "bulge-shape": "round boxy no-bulge",
    "spiral-arm-count": "1 2 3 4 more-than-4 cant-tell",
}
PUBLISHED = {
    ("decals", "dr5"): DR5,
    ("decals", "dr8"): DR5,
    ("decals12", "dr12"): DISK
    | {
        "smooth-or-featured": "smooth featured-or-disk artifact",
        "bar": "yes no",
        "bulge-size": "dominant obvious none",
        "how-rounded": "completely in-between cigar-shaped",
        "edge-on-bulge": "boxy none rounded",
        "spiral-arm-count": "1 2 3 4 more-than-4",
        "merging": "neither tidal-debris both merger",
    },
    ("cosmic_dawn", "cd"): COSMIC_DAWN,
    ("euclid", "euclid"): COSMIC_DAWN | {"artifact": COSMIC_DAWN["artifact"] + " ghost"},
    ("jwst", "jwst"): DR5
    | {
        "smooth-or-featured": "smooth featured-or-disk star-artifact-zoom",
        "clumps": "yes no",
        "problem": "star artifact bad-zoom",
    },
    ("ukidss", "ukidss"): GZ2,
    ("ukidss", "gz2"): GZ2,
    ("hubble", "hubble"): HUBBLE
    | {
        "bulge-shape": "rounded boxy none",
        "bulge-size": "none just-noticeable obvious dominant",
        "galaxy-symmetrical": "yes no",
        "clumps-embedded-larger-object": "yes no",
    },
    ("candels", "candels"): HUBBLE
    | {
        "edge-on-bulge": "yes no",
        "bulge-size": "none obvious dominant",
        "merging": "merger tidal-debris both neither",
    },
}
# Rows of votes as published, without questions whose columns were not shown. Of the first galaxy of
# Hubble the bar (26 votes) and the bulge (26) are left out, which 7 volunteers also reached from
# clumps in a spiral, and the two questions on clumps (2 votes each) that these 7 were not asked.
ROWS = {
    "hubble": (
        {
            "smooth-or-featured": (11, 28, 6),
            "how-rounded": (6, 5, 0),
            "clumpy-appearance": (9, 19),
            "clump-count": (1, 0, 0, 0, 6, 2),
            "disk-edge-on": (0, 19),
            "bulge-shape": (0, 0, 0),
            "has-spiral-arms": (18, 1),
        },
        {
            "smooth-or-featured": (33, 8, 6),
            "how-rounded": (1, 24, 8),
            "clumpy-appearance": (3, 5),
            "clump-count": (2, 0, 1, 0, 0, 0),
            "disk-edge-on": (0, 5),
            "bar": (2, 3),
            "has-spiral-arms": (2, 3),
            "bulge-size": (1, 2, 1, 1),
            "galaxy-symmetrical": (2, 1),
            "clumps-embedded-larger-object": (2, 1),
        },
    ),
    "candels": (
        {
            "smooth-or-featured": (15, 2, 19),
            "how-rounded": (10, 5, 0),
            "clumpy-appearance": (2, 0),
            "clump-count": (0, 1, 0, 0, 0, 1),
            "disk-edge-on": (0, 0),
            "merging": (2, 0, 0, 15),
        },
    ),
    "ukidss": (
        {
            "smooth-or-featured": (10, 23, 0),
            "disk-edge-on": (1, 22),
            "has-spiral-arms": (7, 15),
            "bar": (11, 11),
            "bulge-size": (3, 13, 6, 0),
            "how-rounded": (4, 6, 0),
            "bulge-shape": (1, 0, 0),
            "spiral-winding": (1, 5, 1),
            "spiral-arm-count": (0, 3, 0, 1, 0, 3),
        },
        {
            "smooth-or-featured": (41, 4, 5),
            "disk-edge-on": (0, 4),
            "has-spiral-arms": (2, 2),
            "bar": (0, 4),
            "bulge-size": (0, 2, 2, 0),
            "how-rounded": (35, 6, 0),
            "bulge-shape": (0, 0, 0),
            "spiral-winding": (2, 0, 0),
            "spiral-arm-count": (0, 0, 0, 0, 1, 1),
        },
    ),
    "decals": (
        {
            "disk-edge-on": (0, 18),
            "has-spiral-arms": (8, 10),
            "bar": (4, 5, 9),
            "bulge-size": (0, 0, 1, 16, 1),
            "edge-on-bulge": (0, 0, 0),
        },
    ),
}
LAYOUTS = [(tree.name, table.name) for tree in campaigns() for table in tree.tables]


def header_of(tree: DecisionTree, table: str) -> list[str]:
    columns = next(each for each in tree.tables if each.name == table)
    return [columns.of(answer) for answer in tree.columns]


@pytest.mark.parametrize(("name", "suffix"), PUBLISHED)
def test_the_columns_of_a_campaign_are_those_published(name, suffix):
    published = {
        f"{question}-{suffix}_{word}"
        for question, words in PUBLISHED[name, suffix].items()
        for word in words.split()
    }
    layout = find_layout(sorted(published))
    assert layout is not None
    assert (layout.tree.name, layout.main.holds, layout.unknown) == (name, "votes", {})
    assert layout.column_names == published


def test_euclids_catalogue_is_read_as_conditional_fractions_beside_concentrations():
    words = PUBLISHED["euclid", "euclid"]
    answers = [f"{question}_{word}" for question in words for word in words[question].split()]
    header = [f"{answer}_{what}" for answer in answers for what in ("fraction", "dirichlet")]
    layout = find_layout(["object_id", *header])
    assert layout is not None
    assert (layout.tree.name, layout.main.holds, layout.counts) == ("euclid", "conditional", None)
    assert layout.column_names == {f"{answer}_fraction" for answer in answers}


def test_galaxies_of_cosmos_web_lack_one_question_of_jwsts_tree():
    tree = DecisionTree.load("jwst")
    header = [name for name in header_of(tree, "votes") if not name.startswith("how-rounded")]
    layout = find_layout(header)
    assert layout is not None
    assert (layout.tree.name, layout.unknown) == ("jwst", {"how-rounded": "no column"})


def test_in_published_rows_everybody_who_gave_an_answer_was_asked_its_questions():
    compared = 0
    for name, rows in ROWS.items():
        questions = {question.name: question for question in DecisionTree.load(name).questions}
        for row in rows:
            votes = {
                answer.column: count
                for question, counts in row.items()
                for answer, count in zip(questions[question].answers, counts, strict=True)
            }
            for question, counts in row.items():
                asked_of = questions[question].asked_of
                if asked_of in votes:
                    assert sum(counts) == votes[asked_of], (name, question)
                    compared += 1
    assert compared == 39


@pytest.mark.parametrize(("name", "table"), LAYOUTS)
def test_no_table_of_a_campaign_is_read_as_that_of_another(name, table):
    header = header_of(DecisionTree.load(name), table)
    for tree in campaigns():
        fits = whole(Header(header), tree, None) is not None
        assert fits == (tree.name == name)
    for where in DecisionTree.load(name).slices:  # a column was lost: still nothing else
        layout = find_layout([*header[: where.start], *header[where.start + 1 :]])
        assert layout is None or layout.tree.name == name


@pytest.mark.parametrize(("name", "table"), LAYOUTS)
def test_a_table_in_each_campaigns_layout_is_packed_with_its_images(
    name, table, make_fractions, make_csv, make_jpeg, tmp_path
):
    tree = DecisionTree.load(name)
    columns = next(each for each in tree.tables if each.name == table)
    joint = make_fractions(tree, 3).astype(float)
    conditional = tree.conditional(joint)
    values = {"joint": joint, "conditional": conditional, "votes": np.rint(1e5 * joint)}
    ids = ["587730", "587731", "587732"]
    for image in ids:
        (tmp_path / f"{image}.jpg").write_bytes(make_jpeg(int(image)))
    header = ["id", *header_of(tree, table)]
    (tmp_path / "votes.csv").write_text(make_csv(header, ids, values[columns.holds]))
    with open_catalog(tmp_path, LabelSettings(votes=table)) as catalog:
        assert catalog.tree is not None
        assert (catalog.tree.name, catalog.votes_from) == (name, f"votes.csv: {table}")
        assert (catalog.counts is not None) == (columns.holds == "votes")
        tolerance = 1e-3 if columns.holds == "votes" else 2e-5
        np.testing.assert_allclose(catalog.values, joint, atol=tolerance)

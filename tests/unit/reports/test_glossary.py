"""Words of the glossary link to their meaning, where a reader meets them first."""

from bs4 import BeautifulSoup

from lib.reports import glossary

NEEDED = ["Sp", "Se", "Score", "IN", "AS", "cycle", "event", "record", "selection"]
NEEDED += ["1-1", "1-2", "2-1", "2-2", "CAS", "DAS"]


def marked(text: str) -> BeautifulSoup:
    soup = BeautifulSoup(text, "html.parser")
    glossary.mark_words(soup)
    return soup


def words(soup: BeautifulSoup) -> list[str]:
    return [link.text for link in soup.select("a.term")]


def test_the_words_of_the_field_are_explained():
    meanings = glossary.read_glossary()
    assert set(NEEDED) <= meanings.keys()
    assert "their own class" in meanings["Se"] and "AudioSet" in meanings["AS"]
    assert "arithmetic mean" in meanings["AS"]  # two meanings, both are told
    assert not [text for text in meanings.values() if "`" in text or "*" in text]


def test_a_word_is_marked_once_in_text_and_in_every_header():
    header = '<table><tr><th scope="col">Se</th><th scope="col">Score, validation</th></tr></table>'
    soup = marked(f"<p>Se &amp; Sp: Se.</p><p>Sp</p>{header}{header}")
    assert words(soup) == ["Se", "Sp", *2 * ["Se", "Score"]]
    link = soup.find("a")
    assert link["href"] == "glossary.html#se" and link["title"].startswith("ICBHI: share")
    assert soup.p.text == "Se & Sp: Se."


def test_code_links_headings_and_parts_of_words_stay():
    text = "<p><code>Se</code> <a>Sp</a> Selection Sparse test-Se</p>"
    text += "<h2>Se</h2><th scope='row'>Se</th>"
    assert words(marked(text)) == []


def test_marked_text_is_escaped():
    soup = marked("<p>&lt;b&gt; Se &lt;script&gt;</p>")
    assert soup.find(["b", "script"]) is None and soup.p.text == "<b> Se <script>"

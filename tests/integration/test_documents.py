"""Documents: their commands, links, settings and modules exist; the README fits on one screen."""

import re
import shlex

import pytest

from lib import __main__ as commands
from lib.paths import PROJECT

DOCUMENTS = [*sorted(PROJECT.glob("*.md")), *sorted((PROJECT / "docs").glob("*.md"))]
COMMAND = re.compile(r"\./run_all\.sh((?: [^\s`#|;]+)*)")


@pytest.fixture(params=DOCUMENTS, ids=lambda path: path.name)
def document(request):
    return request.param, request.param.read_text(encoding="utf-8")


def test_every_command_is_understood(document):
    for words in COMMAND.findall(document[1]):
        arguments = shlex.split(words.replace("HOST:PORT", "host:1").rstrip(".,)"))
        if "-h" not in arguments and "--help" not in arguments:
            commands.parse(arguments)  # raises for a command or option that does not exist


def test_every_link_leads_to_a_file(document):
    path, text = document
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", text):
        assert (path.parent / target).exists(), target


def test_every_module_and_script_that_is_named_exists(document):
    for name in re.findall(r"`((?:lib|tests|benchmarks|docs|notebooks)/[\w/.]+)`", document[1]):
        assert (PROJECT / name).exists(), name


def test_no_document_names_a_place_of_one_machine(document):
    assert not re.search(r"/(?:home|root|work|tmp)/", document[1])


def test_the_readme_fits_on_one_screen():
    assert len((PROJECT / "README.md").read_text().splitlines()) <= 100

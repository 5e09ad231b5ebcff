"""The section of a version in the changelog."""

import pytest

from tests.test_tools.tools import load_tool

TEXT = """# Changelog

## [Unreleased]

## [0.2.0] - 2027-01-02

### Added

- `star fly`.

## [0.1.0] - 2026-12-01

Only words.

[0.1.0]: nowhere
"""
tool = load_tool('release_notes.py')


def test_the_section_of_a_version():
    assert tool.find_notes(TEXT, '0.2.0') == '### Added\n\n- `star fly`.\n'


@pytest.mark.parametrize(
    ('version', 'expected'),
    [
        ('0.3.0', 'has no such version, but Unreleased, 0.2.0, 0.1.0'),
        ('0.2', 'has no such version'),
        ('', 'has no such version'),
        ('Unreleased', 'is empty'),
        ('0.1.0', 'is empty'),
    ],
)
def test_unknown_and_empty_versions(version, expected):
    with pytest.raises(ValueError, match=expected):
        tool.find_notes(TEXT, version)


def test_our_own_changelog(capsys):
    assert tool.main(['Unreleased']) == 0
    printed = capsys.readouterr().out
    assert printed.startswith('What is to become') and '\n## [' not in printed
    assert tool.main(['0.0.0']) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: '0.0.0': CHANGELOG.md has no such")
    assert error.count('\n') == 1

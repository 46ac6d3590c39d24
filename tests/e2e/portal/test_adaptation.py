"""Every page of the menu adapts: to narrow windows, to wider spacing, and to those who see where the keyboard is."""

from collections.abc import Callable

import pytest

from synapse_bum.portal.page_table import PageTable
from synapse_bum.testing.browser import RealBrowser
from synapse_bum.testing.portal_server import PORTAL_URL

pytestmark = [pytest.mark.requires("browser", "nginx"), pytest.mark.any_synapse]

Look = Callable[[RealBrowser, str], None]
PATHS = (*(entry.path for entry in PageTable.of_all().menu()), "accessibility")

NARROWEST = 320
"""CSS pixels (WCAG 1.4.10)."""

# WCAG 1.4.12. By the object model of the page: its policy forbids further style sheets.
SPACE = """
document.querySelectorAll('*').forEach(each => {
    each.style.lineHeight = '1.5';
    each.style.letterSpacing = '0.12em';
    each.style.wordSpacing = '0.16em';
});
document.querySelectorAll('p').forEach(each => { each.style.marginBottom = '2em'; });
"""

# Texts that are cut off by what they stand in; what scrolls by itself shows everything.
CUT_OFF = """
[...document.querySelectorAll('body *')].filter(each => {
    const style = getComputedStyle(each);
    const hides = [style.overflowX, style.overflowY].some(way => way === 'hidden' || way === 'clip');
    return hides && (each.scrollWidth > each.clientWidth + 1 || each.scrollHeight > each.clientHeight + 1);
}).map(each => each.outerHTML.slice(0, 120))
"""

# Follows the Tab key once around the page; names what gets the focus without an outline that can be seen.
WITHOUT_OUTLINE = """
(() => {
    const focused = document.activeElement;
    const style = getComputedStyle(focused);
    const shown = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
    return [focused.tagName + (focused.id ? '#' + focused.id : ''), shown];
})()
"""


def overflow(browser: RealBrowser) -> int:
    """By how many pixels the page is wider than the window."""
    script = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    found: int = browser.run("page.evaluate(script)", script=script)
    return found


@pytest.mark.parametrize("width", [NARROWEST, 1280])
def test_no_page_sticks_out_however_narrow_and_however_widely_spaced(logged_in: RealBrowser, width: int) -> None:
    logged_in.run("page.set_viewport_size({'width': width, 'height': 800})", width=width)
    wrong = []
    for path in PATHS:
        logged_in.open(PORTAL_URL + path)
        plain = overflow(logged_in)
        logged_in.run("page.evaluate(script)", script=SPACE)
        spaced, cut_off = overflow(logged_in), logged_in.run("page.evaluate(script)", script=CUT_OFF)
        if plain > 0 or spaced > 0 or cut_off:
            wrong.append((path, plain, spaced, cut_off))
    assert wrong == []


def test_whoever_uses_the_keyboard_sees_where_they_are(logged_in: RealBrowser) -> None:
    for path in ("", "tickets/new"):
        logged_in.open(PORTAL_URL + path)
        seen = []
        for _ in range(12):
            logged_in.run("page.keyboard.press('Tab')")
            seen.append(logged_in.run("page.evaluate(script)", script=WITHOUT_OUTLINE))
        assert seen[0] == ["A", True]
        assert [name for name, shown in seen if not shown] == [], path


def test_the_first_link_leads_past_the_menu(logged_in: RealBrowser) -> None:
    logged_in.open(PORTAL_URL + "users")
    logged_in.run("page.keyboard.press('Tab')")
    assert logged_in.run("page.evaluate('document.activeElement.textContent')") == "Zum Inhalt springen"
    logged_in.run("page.keyboard.press('Enter')")
    assert logged_in.run("page.evaluate('document.activeElement.id')") == "content"

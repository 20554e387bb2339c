"""Open every page of the book in headless Chromium: ``python -m tests.notebooks.book``.

Needs the book in ``build/book`` (``make book``), Debian's chromium, and the package websocket-client.
There is no network. On no page may there be an error in the console, a request to the network, a
formula that is not typeset, a broken link or image, or at 380 and 1280 pixels a page wider than the
window. Then the pictures of the first page: their functions against the package's, by keyboard and by
button; and the search.
"""
import contextlib
import itertools
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlparse

import numpy as np
from orthonorm import core

BOOK = Path(__file__).parents[2] / "build" / "book"
WIDTHS = (380, 1280)
# What a page says of itself, once its formulas are typeset.
LOOK = """(async () => {
  if (window.MathJax && MathJax.startup) await MathJax.startup.promise;
  await Promise.all([...document.images].map(image => image.decode().catch(() => 0)));
  const text = [...document.querySelectorAll("article p, article li, article pre")];
  return {
    title: document.title,
    untypeset: [...document.querySelectorAll(".math")].filter(m => !m.querySelector("mjx-container"))
      .map(m => m.textContent.slice(0, 60)),
    wrong: [...document.querySelectorAll("mjx-merror, [data-mml-node=merror]")].map(m => m.textContent),
    raw: text.filter(p => !p.closest("pre") && /\\$\\$|\\\\\\\\frac|:math:`/.test(p.innerText))
      .map(p => p.innerText.slice(0, 80)),
    images: [...document.images].filter(image => !image.naturalWidth).map(image => image.src),
    links: [...document.querySelectorAll("a[href]")].map(a => a.href),
    ids: [...document.querySelectorAll("[id]")].map(e => e.id),
    smallest: Math.min(...text.filter(p => p.innerText.trim() && p.offsetParent)
      .map(p => parseFloat(getComputedStyle(p).fontSize)), 99),
  };
})()"""
# How far to the right anything reaches, but for what stands in a box that scrolls.
WIDTH = """(() => {
  const scrolls = e => e.tagName !== "ARTICLE"
    && (/auto|scroll|hidden/.test(getComputedStyle(e).overflowX) || scrolls(e.parentElement));
  const outside = [...document.querySelectorAll("article *")]
    .filter(e => e.getBoundingClientRect().right > innerWidth + 1 && !scrolls(e));
  return Math.max(document.documentElement.scrollWidth,
                  ...outside.map(e => e.getBoundingClientRect().right));
})()"""


class Browser:
    """Chromium, spoken to by its DevTools protocol."""

    def __init__(self, executable):
        from websocket import create_connection
        self.folder = tempfile.mkdtemp()
        self.process = subprocess.Popen(
            [executable, "--headless", "--no-sandbox", f"--user-data-dir={self.folder}",
             "--allow-file-access-from-files", "--host-resolver-rules=MAP * ~NOTFOUND",
             "--remote-debugging-port=0", "--remote-allow-origins=*", "about:blank"],
            stderr=subprocess.DEVNULL)
        port = Path(self.folder) / "DevToolsActivePort"
        for _ in range(300):
            if port.exists() and len(port.read_text().splitlines()) == 2:
                break
            time.sleep(0.1)
        number, path = port.read_text().splitlines()
        self.numbers, self.events = itertools.count(1), []
        self.socket = create_connection(f"ws://127.0.0.1:{number}{path}", timeout=60)
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self.session = None
        self.session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def send(self, method, **params):
        number = next(self.numbers)
        message = {"id": number, "method": method, "params": params}
        if getattr(self, "session", None):
            message["sessionId"] = self.session
        self.socket.send(json.dumps(message))
        while True:
            answer = json.loads(self.socket.recv())
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]
            self.events.append(answer)

    def run(self, expression):
        """Return the value of an expression of JavaScript, a promise's when it is kept."""
        answer = self.send("Runtime.evaluate", expression=expression, awaitPromise=True,
                           returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def open(self, url):
        self.events.clear()
        self.send("Page.navigate", url=url)
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self.events.append(json.loads(self.socket.recv()))

    def complaints(self):
        """Return errors of the console, and requests to a network, since the page was opened."""
        found = []
        for event in self.events:
            method, params = event["method"], event["params"]
            if method == "Runtime.exceptionThrown":
                found.append(f"exception: {params['exceptionDetails'].get('text')}")
            elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
                found.append(f"console: {params['entry']['text']} {params['entry'].get('url', '')}")
            elif method == "Runtime.consoleAPICalled" and params["type"] == "error":
                found.append(f"console: {[argument.get('value') for argument in params['args']]}")
            elif method == "Network.requestWillBeSent":
                url = params["request"]["url"]
                if not url.startswith(("file:", "data:", "blob:", "about:")):
                    found.append(f"network: {url}")
        return found

    def resize(self, width):
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1,
                  mobile=width < 500)

    def close(self):
        with contextlib.suppress(Exception):
            self.send("Browser.close")
        self.process.wait(20)
        shutil.rmtree(self.folder, ignore_errors=True)


def look(browser, page):
    """Return what a page says of itself, and what is wrong with it alone."""
    browser.resize(WIDTHS[1])
    browser.open(page.as_uri())
    seen = browser.run(LOOK)
    faults = browser.complaints()
    for what in ("untypeset", "wrong", "raw", "images"):
        faults += [f"{what}: {item}" for item in seen[what]]
    if seen["smallest"] < 11:
        faults.append(f"letters of {seen['smallest']} pixels")
    for width in WIDTHS:
        browser.resize(width)
        if (wide := browser.run(WIDTH)) > width:
            faults.append(f"{wide} pixels wide in a window of {width}")
    return seen, faults


def broken_links(page, seen):
    """Return the links of a page that lead to no page of the book, or to no place in it."""
    for link in seen[page]["links"]:
        url, fragment = urldefrag(link)
        if not url.startswith("file:"):
            continue
        target = Path(unquote(urlparse(url).path))
        if not target.exists():
            yield f"link: no file {link}"
        elif fragment and target in seen and unquote(fragment) not in seen[target]["ids"]:
            yield f"link: no place {link}"


def check_picture(browser):
    """Compare the functions of the first page with the package, and use its controls."""
    browser.resize(WIDTHS[1])
    browser.open((BOOK / "index.html").as_uri())
    for x in ([0, 0, 0], [2.2, -0.8, 1.2], [1e-9, 0, 0], [-6, 6, 6], [0.1, 0.02, -0.3]):
        X = np.zeros((3, 3))
        X[1, 0], X[2, 0], X[2, 1] = x
        for name in ("matrix_exp", "cayley", "householder"):
            expected = getattr(core, name)(X - np.eye(3))
            found = browser.run(f"orthonorm.maps.{name}({json.dumps(x)})")
            assert np.abs(found - expected).max() < 1e-14, (name, x, found, expected)
    s = [1, 0.8, 0.5, 0.2, 0.05, 0.01]
    for coefficients in ((15 / 8, -10 / 8, 3 / 8), (3.4445, -4.7750, 2.0315)):
        for steps in (0, 1, 5, 30):
            expected = np.diag(core.newton_schulz(np.diag(s), coefficients, steps))
            found = browser.run(f"orthonorm.newton_schulz({s}, {list(coefficients)}, {steps})")
            assert np.abs(found - expected).max() < 1e-12, (coefficients, steps, found, expected)
    for steps in (0, 1, 7):
        start = np.ones(6) / np.sqrt(6)
        u, v = core.power_iteration(np.diag(s), start, start, steps) if steps else (start, start)
        found = browser.run(f"orthonorm.power_iteration({s}, {steps})")
        assert np.abs(found["v"] - v).max() < 1e-14 and abs(found["sigma"] - u @ np.diag(s) @ v) < 1e-14
    check_controls(browser)


def check_controls(browser):
    output = 'document.querySelector("[data-picture={}] output").textContent'
    before = browser.run(output.format("sphere"))
    browser.run('document.querySelector("[data-picture=sphere] canvas").focus()')
    for key in ("ArrowRight", "ArrowUp", "PageUp"):
        for kind in ("keyDown", "keyUp"):
            browser.send("Input.dispatchKeyEvent", type=kind, key=key)
        after = browser.run(output.format("sphere"))
        assert after != before, key
        before = after
    middle = browser.run('''(r => [r.x + r.width / 2, r.y + r.height / 2])(
        document.querySelector("[data-picture=sphere] canvas").getBoundingClientRect())''')
    for kind, shift in (("mousePressed", 0), ("mouseMoved", 40), ("mouseReleased", 40)):
        browser.send("Input.dispatchMouseEvent", type=kind, x=middle[0] + shift, y=middle[1],
                     button="left", buttons=1, clickCount=1)
    assert browser.run(output.format("sphere")) != before, "dragging"
    # What is drawn is what the sliders say.
    X = np.zeros((3, 3))
    X[1, 0], X[2, 0], X[2, 1] = browser.run(
        '[...document.querySelectorAll("[data-picture=sphere] input")].map(i => Number(i.value))')
    line = browser.run(output.format("sphere")).splitlines()[1]
    shown = [float(number) for number in line.split("(")[1].rstrip(")").split(",")]
    assert np.abs(shown - core.cayley(X)[:, 0]).max() < 6e-5, (line, X)
    first = browser.run(output.format("iteration"))
    browser.run('document.querySelector("[data-step=next]").focus()')
    for kind in ("keyDown", "keyUp"):
        browser.send("Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", text="\r",
                     windowsVirtualKeyCode=13)
    second = browser.run(output.format("iteration"))
    assert first.startswith("step 0") and second.startswith("step 1"), (first, second)
    assert not browser.complaints(), browser.complaints()


def check_search(browser):
    browser.open((BOOK / "search.html").as_uri() + "?q=reflector")
    for _ in range(100):
        found = browser.run('document.querySelectorAll("#search-results li a").length')
        if found > 3:
            break
        time.sleep(0.1)
    assert found > 3, found


def main():
    executable = shutil.which("chromium") or shutil.which("chromium-browser")
    if executable is None:
        sys.exit("book-test needs chromium: apt-get install chromium")
    pages = sorted(BOOK.rglob("*.html"))
    pages = [page for page in pages if "_static" not in page.parts]
    started, browser, faults, seen = time.perf_counter(), Browser(executable), {}, {}
    try:
        for page in pages:
            seen[page], faults[page] = look(browser, page)
        for page in pages:
            faults[page] += broken_links(page, seen)
        check_picture(browser)
        check_search(browser)
    finally:
        browser.close()
    for page, found in faults.items():
        for fault in found:
            print(f"FAIL {page.relative_to(BOOK)}: {fault}")
    wrong = sum(map(bool, faults.values()))
    print(f"{len(pages) - wrong} passed, {wrong} failed")
    print(f"{len(pages)} pages in {time.perf_counter() - started:.0f} s", file=sys.stderr)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())

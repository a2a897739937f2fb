"""A headless Chromium for tests, over the pipe of its DevTools protocol: no driver, no port, no package.

https://chromedevtools.github.io/devtools-protocol/ . Messages are JSON that ends with a zero byte; the browser reads
its file descriptor 3 and writes 4.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "headless_shell")
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-extensions", "--remote-debugging-pipe",
)  # fmt: skip
ONTO_3_AND_4 = "import os, sys; a = sys.argv; os.dup2(int(a[1]), 3); os.dup2(int(a[2]), 4); os.execv(a[3], a[3:])"
LONGEST_S = 120.0  # to wait for one answer, on a busy machine


def find_chromium() -> str | None:
    """The browser of this machine."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@dataclass
class Page:
    """A page that has loaded, and what went on meanwhile."""

    browser: Browser
    session: str
    target: str
    requests: list[str] = field(default_factory=list)  # URLs; the page's own is the first
    complaints: list[str] = field(default_factory=list)  # errors and warnings of the console, exceptions

    def evaluate(self, script: str) -> Any:
        """The JSON value of an expression in the page; a promise is awaited."""
        given = {"expression": script, "returnByValue": True, "awaitPromise": True, "userGesture": True}
        answer = self.browser.call("Runtime.evaluate", given, self)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def note(self, method: str, given: dict[str, Any]) -> None:
        """Keep what an event tells."""
        if method == "Network.requestWillBeSent":
            self.requests.append(given["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(given["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and given["type"] in ("error", "warning", "assert"):
            self.complaints.append(json.dumps(given["args"]))
        elif method == "Log.entryAdded" and given["entry"]["level"] in ("error", "warning"):
            self.complaints.append(given["entry"]["text"])


class Browser:
    """One process, for many pages."""

    def __init__(self, chromium: str, profile: Path) -> None:
        """Start it."""
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (theirs_in, theirs_out)]
        command = [sys.executable, "-S", "-E", "-c", ONTO_3_AND_4, *map(str, ends), chromium]
        self._process = subprocess.Popen(
            [*command, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            pass_fds=ends, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        for end in (theirs_in, theirs_out, *ends):
            os.close(end)
        self._left, self._count, self._pages = b"", 0, dict[str, Page]()

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        os.close(self._out)
        self._process.kill()
        self._process.wait()
        os.close(self._in)

    def answers(self) -> bool:
        """Whether it runs: some systems have a command of its name that only says how to install it."""
        try:
            return bool(self.call("Browser.getVersion"))
        except (AssertionError, OSError):
            return False

    def call(self, method: str, given: dict[str, Any] | None = None, page: Page | None = None) -> Any:
        """Send a command and wait for its result."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": given or {}}
        os.write(self._out, json.dumps(message | ({"sessionId": page.session} if page else {})).encode() + b"\0")
        while (answer := self._receive()).get("id") != self._count:
            pass
        assert "error" not in answer, f"{method}: {answer['error']}"
        return answer["result"]

    def _receive(self, until: float | None = None) -> dict[str, Any]:
        """The next message. Events are kept with their page."""
        until = until or time.monotonic() + LONGEST_S
        while b"\0" not in self._left:
            assert select.select([self._in], [], [], max(0.0, until - time.monotonic()))[0], "no answer from Chromium"
            got = os.read(self._in, 1 << 16)
            assert got, "Chromium has ended"
            self._left += got
        line, _, self._left = self._left.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        if (page := self._pages.get(message.get("sessionId", ""))) and "method" in message:
            page.note(message["method"], message["params"])
        return message

    @contextmanager
    def open(self, path: Path, width_px: int = 1200, height_px: int = 900, dark: bool = False) -> Iterator[Page]:
        """A page from a file, loaded."""
        target = self.call("Target.createTarget", {"url": "about:blank"})["targetId"]
        session = self.call("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        page = self._pages[session] = Page(self, session, target)
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable", page=page)
        size = {"width": width_px, "height": height_px, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", size, page)
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", {"features": scheme}, page)
        self.call("Page.navigate", {"url": path.as_uri()}, page)
        until = time.monotonic() + LONGEST_S
        while page.evaluate("document.readyState") != "complete" or page.evaluate("location.href") == "about:blank":
            assert time.monotonic() < until, f"{path} did not load"
        try:
            yield page
        finally:
            self.call("Target.closeTarget", {"targetId": target})
            del self._pages[session]

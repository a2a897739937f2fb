"""What comes live: a thread grabs frames and keeps the newest; a camera or stream that is lost is opened again.

A detector that is slower than the source gets the newest frame each time; the frames in between are dropped and
counted. Frames keep the numbers and the times at which they were grabbed.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8

Image = UInt8[np.ndarray, "h w 3"]
FAILED_READS = 3  # in a row: the source is lost
POLL_S = 0.2  # how often a waiting reader looks whether the thread still works
JOIN_S = 2.0  # how long a reader waits for the thread to end; a read that hangs ends it later


@runtime_checkable
class Capture(Protocol):
    """What is used of cv2.VideoCapture."""

    def isOpened(self) -> bool: ...

    def read(self) -> tuple[bool, Image | None]: ...

    def release(self) -> None: ...


class Grabbed(NamedTuple):
    number: int  # of the frame, from 0, the dropped ones too
    bgr: Image
    at_s: float  # by the clock
    failed: int = 0  # reads without a picture since the frame that was taken before


@dataclass(frozen=True, kw_only=True)
class Reconnect:
    """How a lost source is opened again: after 0.5 s, then after twice as long each time.

    Args:
        give_up_s: seconds without a frame after which it is the end; None: never.
        say: tells the user, once when it is lost and once when it is back.
    """

    give_up_s: float | None = 60.0
    first_wait_s: float = 0.5
    longest_wait_s: float = 30.0
    say: Callable[[str], None] = field(default=lambda message: None)


class Feed:
    """The newest frame of a live source.

    `run` grabs in a thread; `take` waits for the next frame. `dropped` and `lost` are the numbers of frames that were
    grabbed and not taken, and of times that the source was opened again.
    """

    def __init__(
        self,
        name: str,
        capture: Capture,
        opens: Callable[[], Capture] | None,
        reconnect: Reconnect,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        """
        Args:
            name: of the source, for what is said.
            capture: opened already.
            opens: opens it again; None: the first failure is the end.
            reconnect: how often.
            clock: seconds.
            wait: waits for so many seconds, and says whether the reader has stopped; by default it does so.
        """
        self.name, self.dropped, self.lost = name, 0, 0
        self._capture, self._opens, self._reconnect = capture, opens, reconnect
        self._clock, self._stop = clock, threading.Event()
        self._wait = wait or self._pause
        self._ready = threading.Condition()
        self._newest: Grabbed | None = None
        self._ended = False
        self._error: BaseException | None = None
        self._number, self._failed, self._taken_s, self._now_s = 0, 0, clock(), -math.inf

    # -------------------------------------------------------------------------------------------- the reader's side

    def start(self) -> threading.Thread:
        """Start the thread that grabs.

        It is no daemon: Python would end that inside OpenCV's read, which aborts the whole program.
        """
        thread = threading.Thread(target=self.run, name=f"grab {self.name}")
        thread.start()
        return thread

    def take(self) -> Grabbed | None:
        """The newest frame that was not taken yet; waits for one. None: there will be no more."""
        with self._ready:
            while self._newest is None and not self._ended:
                self._ready.wait(POLL_S)
            if self._error is not None:
                raise self._error
            taken, self._newest = self._newest, None
        if taken is not None:
            self._taken_s = taken.at_s
        return taken

    def age_s(self) -> float:
        """Seconds since the frame that was taken last was grabbed."""
        return self._clock() - self._taken_s

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()

    # -------------------------------------------------------------------------------------------- the thread's side

    def run(self) -> None:
        """Grab until the source ends or the reader stops."""
        try:
            while not self._is_over() and self.grab():
                pass
        except BaseException as error:
            self._error = error
        finally:
            self._capture.release()
            with self._ready:
                self._ended = True
                self._ready.notify_all()

    def _is_over(self) -> bool:
        """Whether the reader has stopped, or the program ends and only waits for this thread."""
        return self._stop.is_set() or not threading.main_thread().is_alive()

    def _pause(self, seconds: float) -> bool:
        until_s = time.monotonic() + seconds
        while not self._is_over() and time.monotonic() < until_s:
            self._stop.wait(POLL_S)
        return self._is_over()

    def grab(self) -> bool:
        """Read one frame, or open the source again. False: it has ended."""
        image = self._read(self._capture)
        if image is not None:
            self._keep(image, self._failed)
            return True
        self._failed += 1
        if self._failed < FAILED_READS and self._opens is not None:
            return True
        return self._opens is not None and self._open_again(self._opens)

    def _read(self, capture: Capture) -> Image | None:
        import cv2

        try:
            read, image = capture.read()
        except cv2.error:  # a frame of another format, for one
            return None
        return _as_bgr(image) if read and image is not None and image.size else None

    def _keep(self, image: Image, failed: int = 0) -> None:
        self._now_s = max(self._now_s, self._clock())
        with self._ready:
            if self._newest is not None:
                self.dropped, failed = self.dropped + 1, failed + self._newest.failed
            self._newest = Grabbed(self._number, image, self._now_s, failed)
            self._ready.notify_all()
        self._number, self._failed = self._number + 1, 0

    def _open_again(self, opens: Callable[[], Capture]) -> bool:
        settings, lost_s = self._reconnect, self._clock()
        until = "for ever" if settings.give_up_s is None else f"for {settings.give_up_s:.0f} s"
        last = f"after frame {self._number - 1}" if self._number else "before its first frame"
        settings.say(f"{self.name}: lost {last}; it is opened again, tried {until}")
        self._capture.release()
        wait_s = settings.first_wait_s
        while settings.give_up_s is None or self._clock() - lost_s < settings.give_up_s:
            if self._wait(wait_s):
                return False
            wait_s = min(2 * wait_s, settings.longest_wait_s)
            self._capture = opens()
            image = self._read(self._capture) if self._capture.isOpened() else None
            if image is not None:
                self.lost += 1
                settings.say(f"{self.name}: back after {self._clock() - lost_s:.1f} s, with frame {self._number}")
                self._keep(image)
                return True
            self._capture.release()
        settings.say(f"{self.name}: no frame in {self._clock() - lost_s:.0f} s; that is the end (--reconnect goes on)")
        return False


def _as_bgr(image: np.ndarray) -> Image | None:
    """A frame as colour, also of a camera that gives grey ones; None: of a form that no camera should give."""
    import cv2

    if image.dtype != np.uint8:
        return None
    if image.ndim == 2 or image.shape[2:] == (1,):
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR), np.uint8)
    return image if image.ndim == 3 and image.shape[2] == 3 else None

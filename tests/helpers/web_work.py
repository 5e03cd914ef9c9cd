"""Work that visitors of the web app could cause."""

from __future__ import annotations

import os
import signal
import time


def too_long():
    time.sleep(60)


def too_much():
    return len(bytearray(2**33))


def dies():
    os.kill(os.getpid(), signal.SIGKILL)


def number():
    return os.getpid()

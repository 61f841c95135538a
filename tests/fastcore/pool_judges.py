"""Judges for the pool's tests, imported by supervisors through `Pool(paths=[this folder])`."""

import ctypes
import os
import signal
import time
from pathlib import Path

from evolve.fastcore.limits import Limits
from evolve.fastcore.runner import Runner


class Words:
    """Does what the payload says; anything else comes back as it is."""

    def __init__(self, closed=None):
        self.closed = closed

    def judge(self, payload):
        action = getattr(self, f"do_{payload}", None) if isinstance(payload, str) else None
        return action() if action else payload

    def do_raise(self):
        raise KeyError("a judge's own mistake")

    def do_die(self):
        os.kill(os.getpid(), signal.SIGKILL)

    def do_sleep(self):
        time.sleep(60)

    def do_nap(self):
        time.sleep(0.3)
        return "rested"

    def do_c_loop(self):
        # PyDLL keeps the GIL: no other thread of this supervisor runs meanwhile.
        ctypes.PyDLL(None).sleep(60)

    def do_environ(self):
        return dict(os.environ)

    def do_pid(self):
        return os.getpid(), os.getsid(0), os.getppid()

    def do_lambda(self):
        return lambda: 0

    def close(self):
        if self.closed:
            Path(self.closed).touch()


class Counter(Words):
    """Dies on "die" the first time only, which a file remembers."""

    def do_die(self):
        if not Path(self.closed).exists():
            Path(self.closed).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return "survived"

    def close(self):
        pass


class Programs:
    """Runs the payload as a program of its own."""

    def __init__(self):
        self.runner = Runner()

    def judge(self, payload):
        if payload == "zygote":
            return self.runner.zygote
        with self.runner.start(payload, "f", Limits()) as session:
            return session.call(())

    def close(self):
        self.runner.close()


def broken():
    raise OSError("the judge's file is gone")


def dying():
    os._exit(3)

"""Runs a command before a terminal of its own, and tells what that would have shown.

    terminal.py [--unread] SIGN KEYS COMMAND...

Once SIGN has been shown, KEYS are typed (^C as \\x03); empty: nothing is. Standard output and
standard error of the command are both the terminal; --unread: standard output is a pipe from which
nobody reads. The answer is one line of JSON: {"code": its
exit code, or minus the signal that ended it, "shown": every byte, as text}.
"""

import codecs
import json
import os
import pty
import sys


def main():
    arguments = sys.argv[1:]
    is_unread = arguments[0] == "--unread"
    sign, keys, *command = arguments[is_unread:]
    keys = codecs.decode(keys, "unicode_escape").encode()
    child, terminal = pty.fork()
    if child == 0:
        if is_unread:
            reader, writer = os.pipe()
            os.set_inheritable(reader, True)
            os.dup2(writer, 1)
        os.execv(command[0], command)
    shown = b""
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # Linux: the other side has been closed.
            break
        if not piece:
            break
        shown += piece
        if keys and sign.encode() in shown:
            os.write(terminal, keys)
            keys = b""
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(json.dumps({"code": code, "shown": shown.decode(errors="replace")}))


main()

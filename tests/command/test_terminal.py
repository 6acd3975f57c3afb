# SPDX-License-Identifier: MIT OR Apache-2.0
"""What a terminal gets and a pipe does not: colours, the coloured text, the progress line; and a file that shrinks."""
import os
import re
import subprocess

from support import LOGITS, PROGRAM, TOKENS, CommandTest, main, npy_header, npy_ints, run_on_terminal, story_tokens

STORY = ("score", LOGITS, "--tokens", TOKENS, "--shift", "--vocab", "bytes")


def plain(data):
    return re.sub(rb"\x1b\[[0-9;]*[mK]", b"", data)


class Colour(CommandTest):
    def test_terminal_is_coloured(self):
        code, out = run_on_terminal(*STORY)
        self.assertEqual(code, 0)
        self.assertIn(b"\x1b[31m", out)
        self.assertIn(b"colours:", out)
        self.assertIn(bytes(story_tokens()), plain(out))  # the text itself, its first byte included
        self.assertIn(b"\ntime ", out)
        # every colour that starts ends before the next one
        marks = re.findall(rb"\x1b\[([0-9;]*)m", out)
        self.assertTrue(all((mark == b"0") == (i % 2 == 1) for i, mark in enumerate(marks)))

    def test_plain_where_wanted(self):
        for environment in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
            code, out = run_on_terminal(*STORY, environment=environment)
            self.assertEqual(code, 0)
            self.assertNotIn(b"\x1b", out)
        self.assertIn(b"\x1b[", run_on_terminal(*STORY, environment={"NO_COLOR": ""})[1])
        self.assertNotIn(b"\x1b", run_on_terminal(*STORY, "--color", "never")[1])
        self.assertNotIn(b"\x1b", self.accepted(*STORY))
        for form in ("json", "csv"):
            self.assertNotIn(b"\x1b", run_on_terminal(*STORY, "--format", form)[1])
            self.assertNotIn(b"\x1b", self.accepted(*STORY, "--format", form, "--color", "always"))

    def test_always(self):
        forced = self.accepted(*STORY, "--color", "always", environment={"NO_COLOR": "1"})
        self.assertIn(b"\x1b[31m", forced)
        self.assertIn(self.accepted(*STORY).split(b"\n\n")[0], plain(forced))

    def test_characters_split_over_tokens(self):
        data = "é\n€x".encode() + b"\xe2\x82" + b"\x1b[2J" + "\u202e".encode() + b"\xff"
        logits = self.file("logits.npy", npy_header("<f4", (len(data), 256)) + bytes(4 * 256 * len(data)))
        ids = self.file("ids.npy", npy_ints(data))
        out = self.accepted("score", logits, "--tokens", ids, "--vocab", "bytes", "--color", "always")
        shown = plain(out).decode().split("\n\n")[1]
        self.assertEqual(shown, "é\n€x\\xe2\\x82\\x1b[2J\\xe2\\x80\\xae\\xff")


class Progress(CommandTest):
    def work(self, rows):
        columns = 20000
        logits = self.sparse("logits.npy", npy_header("<f4", (rows, columns)), rows * columns * 4)
        ids = self.file("ids.npy", npy_ints([0] * rows))
        return ("score", logits, "--tokens", ids, "--top", columns, "--format", "csv")

    def test_progress_line(self):
        rows = 200
        while rows < 1 << 20:  # until the work takes over a second here
            code, out = run_on_terminal(*self.work(rows), stdout=False)
            self.assertEqual(code, 0)
            if out:
                break
            rows *= 4
        self.assertRegex(out, rb"^\r\x1b\[Kscoring: row \d+ of %d, \d+%%, [\d.]+ GB/s, \d+ s left" % rows)
        self.assertTrue(out.endswith(b"\r\x1b[K"), out[-80:])
        self.assertNotIn(b"\n", out)

    def test_no_progress_for_quick_work(self):
        self.assertEqual(run_on_terminal(*STORY, stdout=False), (0, b""))

    def test_error_lines_on_a_terminal(self):
        code, out = run_on_terminal("score", "none.npy", "--tokens", TOKENS, stdout=False)
        self.assertEqual((code, out), (2, b"logprob: none.npy: cannot be opened: No such file or directory\n"))

    def test_a_file_that_shrinks(self):
        """The command waits in a full pipe while its file is cut: one line and exit code 2, not a crash."""
        arguments = self.work(200)
        process = subprocess.Popen(PROGRAM + [str(a) for a in arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        process.stdout.read(1)  # it has begun to print
        os.truncate(arguments[1], 128)
        _, err = process.communicate()
        self.assertEqual(process.returncode, 2)
        self.assertEqual(err.count(b"\n"), 1)
        self.assertIn(b"logits.npy: cannot be read any more", err)


if __name__ == "__main__":
    main()

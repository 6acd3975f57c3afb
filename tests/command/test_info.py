# SPDX-License-Identifier: MIT OR Apache-2.0
"""logprob info, --help everywhere, --version, the man page."""
import re
import shutil
import subprocess

from support import HERE, CommandTest, main, run, strict_json

COMMANDS = ("score", "read", "compare", "info")
MAN = HERE.parents[1] / "tools" / "logprob.1"


class Info(CommandTest):
    def test_table_and_json_agree(self):
        table = self.accepted("info").decode()
        document = strict_json(self.accepted("info", "--format", "json"))
        self.assertIn(f"logprob {document['version']} ", table)
        self.assertEqual([one["isa"] for one in document["isas"]], ["scalar", "avx2", "avx512", "neon"])
        self.assertEqual(sum(one["active"] for one in document["isas"]), 1)
        for one in document["isas"]:
            words = ["yes" if one[key] else "no" for key in ("built_in", "supported", "active")]
            self.assertRegex(table, rf"(?m)^{one['isa']} +{' +'.join(words)}$")
            self.assertLessEqual(one["active"], one["supported"])
            self.assertLessEqual(one["supported"], one["built_in"])

    def test_environment(self):
        def active(isa):
            document = strict_json(self.accepted("info", "--format", "json", environment={"LOGPROB_ISA": isa}))
            return next(one["isa"] for one in document["isas"] if one["active"])
        self.assertEqual(active("scalar"), "scalar")
        self.assertEqual(active("nonsense"), active(""))
        self.assertIn("automatic choice", self.accepted("info", environment={"LOGPROB_ISA": "\x1b[31m"}).decode())
        self.assertNotIn("\x1b", self.accepted("info", environment={"LOGPROB_ISA": "\x1b[31m"}).decode())
        self.refused("info", "--format", "csv", says="--format")
        self.refused("info", "more", says="1 file names")


class Help(CommandTest):
    def test_help(self):
        top = self.accepted("--help").decode()
        self.assertEqual(self.accepted("-h").decode(), top)
        self.assertEqual(self.accepted("help").decode(), top)
        for command in COMMANDS:
            self.assertRegex(top, rf"(?m)^  {command} ")
            for option in ("--help", "-h"):
                text = self.accepted(command, option).decode()
                self.assertTrue(text.startswith(f"Usage: logprob {command}"))
                self.assertLessEqual(max(map(len, text.splitlines())), 100)

    def test_version(self):
        document = strict_json(self.accepted("info", "--format", "json"))
        self.assertEqual(self.accepted("--version").decode(), f"logprob {document['version']}\n")

    def test_man_page_knows_every_option(self):
        page = MAN.read_text()
        for command in COMMANDS:
            self.assertIn(f".Ss {command}\n", page)
            for option in re.findall(r"(?m)^ +(?:-\w, )?--([a-z-]+)", self.accepted(command, "--help").decode()):
                self.assertTrue(f"Fl -{option}" in page, f"--{option} of {command} is not in the man page")

    def test_man_page_is_sound(self):
        if not shutil.which("mandoc"):
            self.skipTest("no mandoc here")
        done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", MAN], stdout=subprocess.PIPE)
        self.assertEqual(done.stdout, b"")


if __name__ == "__main__":
    main()

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The commands of the `logprob` program and the exit codes that they share. */
#ifndef LOGPROB_TOOLS_COMMAND_H
#define LOGPROB_TOOLS_COMMAND_H

enum {
    EXIT_FINE = 0,
    EXIT_FINDINGS = 1, /* done, but something in the data needs attention: rows without a result, low confidence */
    EXIT_BAD = 2       /* bad arguments or bad input: one line on stderr, nothing on stdout */
};

/* argv[0] is the name of the command; each returns the exit code of the program. */
int score_main(int argc, char **argv);
int read_main(int argc, char **argv);
int compare_main(int argc, char **argv);
int info_main(int argc, char **argv);

#endif

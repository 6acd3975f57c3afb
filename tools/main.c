/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The `logprob` program: picks the command. */
#include "command.h"
#include "fault.h"
#include "jsonin.h"

#include <logprob.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
} commands[] = {
    {"score", score_main, "log-probability, rank and entropy of each token of a text, from a model's logits"},
    {"read", read_main, "confidence, entropy bounds and label probabilities from an API's responses"},
    {"compare", compare_main, "KL divergence and more between two models, from their logits"},
    {"info", info_main, "version, and the instruction sets built in, supported and active"},
};
enum { COMMANDS = sizeof commands / sizeof *commands };

static void print_help(void)
{
    puts("Usage: logprob COMMAND [OPTIONS] [FILES]\n\nLog-probabilities from language models.\n\nCommands:");
    for (int i = 0; i < COMMANDS; i++)
        printf("  %-8s %s\n", commands[i].name, commands[i].summary);
    puts("\nlogprob COMMAND --help tells more, and so does `man logprob`.\n"
         "logprob --version prints the version.\n\n"
         "Exit codes: 0 done; 1 done, but something in the data needs attention;\n"
         "2 bad arguments or bad input, said in one line on stderr.");
}

static int run_command(int argc, char **argv)
{
    for (int i = 0; i < COMMANDS; i++)
        if (!strcmp(argv[1], commands[i].name))
            return commands[i].run(argc - 1, argv + 1);
    die("unknown command \"%s\" (see logprob --help)", argv[1]);
}

int main(int argc, char **argv)
{
    json_limit_memory((size_t)1 << 30);
    if (argc < 2)
        die("no command given (see logprob --help)");
    int code = EXIT_FINE;
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help"))
        print_help();
    else if (!strcmp(argv[1], "--version"))
        printf("logprob %s\n", lp_version());
    else
        code = run_command(argc, argv);
    finish_output();
    return code;
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* `logprob info`: what this build has and what this machine runs. */
#include "command.h"
#include "jsonout.h"
#include "options.h"

#include <logprob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] = "Usage: logprob info [--format table|json]\n"
                           "\n"
                           "Prints the version and the instruction sets (ISAs): which are built in, which this\n"
                           "CPU supports, and which one is active. The results have the same bits on all of them.\n"
                           "The environment variable LOGPROB_ISA (scalar, avx2, avx512, neon) picks another one.\n"
                           "\n"
                           "  --format F  table (default) or json\n"
                           "  -h, --help  this text\n";

static bool is_built(lp_isa isa)
{
    switch (isa) {
#ifdef LP_HAVE_AVX2
    case LP_ISA_AVX2:
        return true;
#endif
#ifdef LP_HAVE_AVX512
    case LP_ISA_AVX512:
        return true;
#endif
#ifdef LP_HAVE_NEON
    case LP_ISA_NEON:
        return true;
#endif
    default:
        return isa == LP_ISA_SCALAR;
    }
}

static const char *yes_no(bool value)
{
    return value ? "yes" : "no";
}

static void print_table(void)
{
    const char *asked = getenv("LOGPROB_ISA");
    const char *active = lp_isa_name(lp_isa_active());
    printf("logprob %s (numerics %d, block %d)\n\n", lp_version(), LP_NUMERICS, LP_BLOCK);
    printf("%-8s %-9s %-10s %s\n", "ISA", "built in", "supported", "active");
    for (lp_isa isa = LP_ISA_SCALAR; isa <= LP_ISA_NEON; isa++)
        printf("%-8s %-9s %-10s %s\n", lp_isa_name(isa), yes_no(is_built(isa)), yes_no(lp_isa_supported(isa)),
               yes_no(isa == lp_isa_active()));
    if (asked && strcmp(asked, active)) {
        printf("\nLOGPROB_ISA is ");
        print_quoted(stdout, (text){asked, strlen(asked)});
        printf(", which this build or CPU does not have: the automatic choice stays.\n");
    }
}

static void print_json(void)
{
    json_t *isas = json_made(json_array());
    for (lp_isa isa = LP_ISA_SCALAR; isa <= LP_ISA_NEON; isa++) {
        json_t *one = json_made(json_object());
        json_put(one, "isa", json_made(json_string(lp_isa_name(isa))));
        json_put(one, "built_in", json_boolean(is_built(isa)));
        json_put(one, "supported", json_boolean(lp_isa_supported(isa)));
        json_put(one, "active", json_boolean(isa == lp_isa_active()));
        if (json_array_append_new(isas, one))
            json_made(NULL);
    }
    json_t *all = json_made(json_object());
    json_put(all, "version", json_made(json_string(lp_version())));
    json_put(all, "numerics", json_made(json_integer(LP_NUMERICS)));
    json_put(all, "block", json_made(json_integer(LP_BLOCK)));
    json_put(all, "isas", isas);
    json_write(stdout, all, DIGITS_DOUBLE);
    putchar('\n');
}

int info_main(int argc, char **argv)
{
    enum { OPTION_FORMAT = OPTION_FIRST };
    static const struct option options[] = {
        {"format", required_argument, NULL, OPTION_FORMAT}, {"help", no_argument, NULL, 'h'}, {0}};
    format form = FORMAT_TABLE;
    for (int c; (c = getopt_long(argc, argv, ":h", options, NULL)) != -1;) {
        if (c == 'h') {
            fputs(help, stdout);
            return EXIT_FINE;
        }
        if (c != OPTION_FORMAT)
            die_option("info", argv, c);
        form = parse_format(optarg);
        if (form == FORMAT_CSV)
            die("--format: \"csv\"; expected table or json");
    }
    parse_operands("info", argc, argv, 0, "none");
    if (form == FORMAT_JSON)
        print_json();
    else
        print_table();
    return EXIT_FINE;
}

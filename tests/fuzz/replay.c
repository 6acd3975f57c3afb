/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Runs a fuzz target once on each file that is named: for compilers without a fuzzer, and for the recorded inputs. */
#include "input.h"

#include <stdio.h>
#include <stdlib.h>

static unsigned char *contents(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    long length = -1;
    if (file != NULL && fseek(file, 0, SEEK_END) == 0) {
        length = ftell(file);
    }
    if (length < 0 || fseek(file, 0, SEEK_SET) != 0) {
        return NULL;
    }
    *size = (size_t)length;
    unsigned char *data = malloc(*size); /* of just that size, for the sanitizer; 0 bytes may be NULL */
    const bool complete = *size == 0 || (data != NULL && fread(data, 1, *size, file) == *size);
    fclose(file);
    return *size == 0 ? calloc(1, 1) : complete ? data : NULL;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        size_t size = 0;
        unsigned char *data = contents(argv[i], &size);
        if (data == NULL) {
            fprintf(stderr, "%s: cannot be read\n", argv[i]);
            return 2;
        }
        if (i == 1 || getenv("REPLAY_NAMES") != NULL) {
            fprintf(stderr, "%s\n", argv[i]);
        }
        LLVMFuzzerTestOneInput(data, size);
        free(data);
    }
    printf("%d inputs\n", argc - 1);
    return argc > 1 ? 0 : 2;
}

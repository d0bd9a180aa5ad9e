#include "cli/cli.h"

#include <stdio.h>

int cmd_perplexity(int argc, char **argv)
{
    fprintf(stderr, "lmwatt perplexity: not built yet\n");
    return 1;
}

#include "cli/cli.h"

#include <stdio.h>

int cmd_generate(int argc, char **argv)
{
    fprintf(stderr, "lmwatt generate: not built yet\n");
    return 1;
}

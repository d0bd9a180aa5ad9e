#include "cli/cli.h"

#include <stdio.h>

int cmd_measure(int argc, char **argv)
{
    fprintf(stderr, "lmwatt measure: not built yet\n");
    return 1;
}

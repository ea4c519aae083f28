// What the programs of this folder share: a check that says where it failed.

#ifndef CHECK_H
#define CHECK_H

#include <fleming.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                                                        \
    do {                                                                                                        \
        if (!(condition)) {                                                                                     \
            fprintf(stderr, "%s:%d: %s (last error: %s)\n", __FILE__, __LINE__, #condition,                     \
                    fleming_last_error_message());                                                              \
            exit(1);                                                                                            \
        }                                                                                                       \
    } while (0)
#define OK(call) CHECK((call) == FLEMING_STATUS_OK)
#define REFUSED(call) CHECK((call) == FLEMING_STATUS_ARGUMENT)
// The last failure's message has this in it.
#define SAYS(text) CHECK(strstr(fleming_last_error_message(), (text)) != NULL)

#endif
